// The filter's work on one batch: each record is checked, and kept, dropped or rejected.
#pragma once

#include <cstdint>
#include <vector>

#include "config/pipeline.h"
#include "proto/base/result.h"
#include "proto/batch.h"
#include "proto/payload_pool.h"
#include "workers/filter/predicates.h"
#include "workers/stage/json/scan.h"
#include "workers/stage/page.h"
#include "workers/stage/test_hook.h"

namespace leat::filter {

class FilterStage {
 public:
  // Compiles the predicates and loads their files; fails as Predicates::compile does. The payloads must outlive it.
  [[nodiscard]] static Result<FilterStage> make(const config::Pipeline& pipeline,
                                                const proto::PayloadPool& payloads);

  // A batch of consecutive lines in, its kept records out: byte for byte, in order, blank lines skipped.
  // Malformed records become rejects. With processors behind it, the origins of the kept records go along. What does not
  // fit the batch's grant is cut off: records and rejects may take that much, and the table too.
  [[nodiscard]] Result<proto::Batch> transform(proto::Batch batch);

  // Where the record at work is noted, should one kill.
  void note_records(stage::RecordMark mark) { mark_ = mark; }

 private:
  FilterStage(Predicates predicates, const json::Paths& paths, bool origins_wanted,
              const proto::PayloadPool& payloads);

  struct Split;  // one batch on its way
  [[nodiscard]] bool scan_record(Split& split, std::size_t begin, std::size_t end);
  [[nodiscard]] bool reject(Split& split, proto::Origin origin, std::string_view record,
                            const json::ScanError& error);
  void merge_rejects(const proto::Batch& batch, Split& split);
  proto::Batch seal(proto::Batch batch, Split& split);

  Predicates predicates_;
  const proto::PayloadPool* payloads_;
  json::Scanner scanner_;
  std::vector<json::Value> values_;
  std::vector<proto::TableEntry> table_;
  Buffer rejects_;
  bool origins_wanted_;
  stage::RecordMark mark_;
  stage::TestHook hook_{proto::Stage::kFilter};
};

}  // namespace leat::filter

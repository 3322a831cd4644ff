// Where a test makes a worker slow, lose a batch, try what its sandbox forbids, or die: nothing here does. The programs in
// build/test-bin are linked with tests/hooks/test_hook.cc in place of test_hook.cc; what is installed does not have it.
#pragma once

#include <chrono>
#include <memory>
#include <string_view>

#include "proto/batch.h"

namespace leat::stage {

class TestHook {
 public:
  struct Acts {
    virtual ~Acts() = default;
    virtual void on_record(std::string_view record) = 0;
    virtual bool loses_batch(std::string_view records) = 0;
    virtual bool withholds_credits() const = 0;
  };

  explicit TestHook(proto::Stage role);

  void on_record(std::string_view record) const {
    if (acts_) [[unlikely]]
      acts_->on_record(record);
  }
  // Is the batch at hand, with these records, to get lost?
  bool loses_batch(std::string_view records) const { return acts_ && acts_->loses_batch(records); }
  // Are its credits?
  bool withholds_credits() const { return acts_ && acts_->withholds_credits(); }

 private:
  std::unique_ptr<Acts> acts_;
};

// 24 h.
std::chrono::milliseconds day();
// A minute.
std::chrono::milliseconds no_progress();

}  // namespace leat::stage

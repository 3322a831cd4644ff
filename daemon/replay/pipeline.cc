#include "daemon/replay/pipeline.h"

#include <fmt/format.h>

#include <string_view>
#include <utility>

#include "config/checks.h"

namespace leat::replay {

namespace {

// There is no escape in a glob, but a set of one character is that character.
std::string literal_glob(std::string_view path) {
  std::string out;
  for (char byte : path) {
    if (byte == '*' || byte == '?' || byte == '[') {
      out += fmt::format("[{}]", byte);
    } else {
      out += byte;
    }
  }
  return out;
}

}  // namespace

Result<config::Pipeline> changed_pipeline(config::Pipeline pipeline, const PipelineChanges& changes) {
  // About where the sources were and what becomes of them. What records may look like (max_record) stays.
  const config::Source none;
  config::Source& source = pipeline.source;
  source.paths = {literal_glob(changes.source)};
  source.compression = none.compression;
  source.growing = none.growing;
  source.require_mount = none.require_mount;
  source.after = none.after;
  pipeline.dead_letter_path = changes.dead_letter;
  if (config::Sink& sink = pipeline.sink; !changes.sink.empty()) {
    sink.path = changes.sink;
    const config::Compression before = sink.compression;
    if (sink.by_name) sink.compression = config::compression_of(sink.path);
    if (sink.compression != before) sink.level = config::default_level(sink.compression);
    if (!changes.keep_rotate) {
      sink.rotate = {};
      sink.require_mount.clear();
    }
  }
  if (const auto wrong = config::misfits(pipeline); !wrong.empty()) {
    return fail(Fault::kFatal,
                fmt::format("the pipeline of the replay is wrong: {}: {}", wrong[0].key, wrong[0].text),
                kExitConfig);
  }
  return pipeline;
}

}  // namespace leat::replay

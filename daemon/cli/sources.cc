#include <fmt/format.h>

#include <cstdio>

#include "daemon/cli/commands.h"
#include "daemon/cli/leatd.h"
#include "daemon/cli/sources.h"
#include "proto/base/base64.h"
#include "proto/base/human.h"
#include "proto/base/text.h"

namespace leat::cli {

namespace {

using ledger::Source;

// At a time: their rows are in memory, and while they are printed no transaction is open.
constexpr std::size_t kPage = 1000;

void print_summary(std::uint64_t shown, const ledger::View::Totals& totals) {
  std::uint64_t all = totals.reading + totals.done + totals.changed + totals.failed;
  fmt::print(
      "{}{}: {} done, {} reading, {} changed, {} failed; {} records in, {} kept, {} dropped, {} "
      "dead; last "
      "done {}\n",
      shown == all ? "" : exact_count(shown) + " of ", counted(all, "source"), exact_count(totals.done),
      exact_count(totals.reading), exact_count(totals.changed), exact_count(totals.failed),
      exact_count(totals.counts.in), exact_count(totals.counts.kept), exact_count(totals.counts.dropped),
      exact_count(totals.counts.dead), human_time(totals.last_done_s));
}

}  // namespace

std::string source_header() {
  return fmt::format("{:<8}{:>10}{:>13}{:>13}{:>13}{:>10}{:>13}  {:<19}  {}\n", "STATE", "POSITION", "IN",
                     "KEPT", "DROPPED", "DEAD", "OUT", "CHANGED", "SOURCE");
}

std::string source_line(const Source& source) {
  const auto& counts = source.counts;
  std::string line =
      fmt::format("{:<8}{:>10}{:>13}{:>13}{:>13}{:>10}{:>13}  {:<19}  {}\n", to_string(source.state),
                  human_bytes(source.place.offset), exact_count(counts.in), exact_count(counts.kept),
                  exact_count(counts.dropped), exact_count(counts.dead), exact_count(counts.out),
                  human_time(source.updated_s), printable(source.path));
  if (!source.reason.empty()) {
    line +=
        fmt::format("          line {}, byte {}: {}\n", exact_count(source.place.lines + 1),
                    exact_count(source.place.offset), printable(without_path(source.reason, source.path)));
  }
  return line;
}

void put_source(JsonWriter& json, const Source& source) {
  const auto& counts = source.counts;
  json.object([&] {
    json.put("path", source.path);
    if (!is_utf8(source.path)) json.put("path_base64", to_base64(source.path));
    json.put("state", to_string(source.state));
    if (!source.reason.empty()) json.put("reason", source.reason);
    json.put("lines", source.place.lines);
    json.put("offset", source.place.offset);
    json.put("size", source.size);
    json.put("in", counts.in);
    json.put("kept", counts.kept);
    json.put("dropped", counts.dropped);
    json.put("dead", counts.dead);
    json.put("by_reference", counts.by_reference);
    json.put("out", counts.out);
    json.put("out_bytes", counts.out_bytes);
    if (!source.after.empty()) {
      json.put("after", source.after);
      json.put("after_done", source.after_done);
    }
    json.put("run", source.run);
    json.put("updated_s", static_cast<std::uint64_t>(source.updated_s));
  });
}

int sources(const SourcesOptions& options) {
  if (options.of.state.empty() && is_leatds(options.of.pipeline)) return leatd_sources(options);
  auto state = plan::open_state(options.of);
  if (!state) return fail_with(state.error());
  std::uint64_t shown = 0;
  for (std::string last;;) {
    auto page = state->view.sources_after(last, kPage);
    if (!page) return fail_with(page.error());
    if (page->empty()) break;
    last = page->back().path;
    for (const Source& source : *page) {
      if (!options.state_filter.empty() && to_string(source.state) != options.state_filter) continue;
      if (options.json) {
        JsonWriter json;
        put_source(json, source);
        fmt::print("{}\n", json.text());
      } else {
        fmt::print("{}{}", shown == 0 ? source_header() : "", source_line(source));
      }
      ++shown;
    }
  }
  if (!options.json) {
    auto totals = state->view.totals();
    if (!totals) return fail_with(totals.error());
    print_summary(shown, *totals);
  }
  return shown > 0 ? kExitOk : kExitNoInput;
}

}  // namespace leat::cli

#include "daemon/supervisor/judgement.h"

#include <fmt/format.h>

#include "config/units.h"

namespace leat::supervisor {

using std::chrono::milliseconds;

namespace {
Verdict ends(int exit_code, std::string why) {
  return {exit_code, {}, std::move(why), milliseconds{0}};
}
}  // namespace

Verdict Judgement::judge(const Death& death) {
  if (death.retry.empty() && death.exit_code >= kExitUsage && death.exit_code <= kExitConfig)
    return ends(death.exit_code, fmt::format("{} The run ends here", death.obituary));
  if (job_.volatile_state && !dies_alone(death.stage)) {
    return ends(kExitBug, fmt::format("{} The run ends here: what went into {} cannot be taken back",
                                      death.obituary, job_.pipeline.sink.path));
  }
  if (!death.retry.empty()) return dies_alone(death.stage) ? without_program(death) : without_sink(death);
  int in_a_row = deaths_.in_a_row(death.stage, progress());
  if (in_a_row >= Deaths::kMostInARow) {
    return ends(kExitBug,
                fmt::format("{} {} of them died and nothing was committed between. The run ends here; "
                            "run again to continue",
                            death.obituary, in_a_row));
  }
  return {kExitOk, "worker-died", fmt::format("{} It is restarted", death.obituary), Deaths::pause(in_a_row)};
}

// It could not start a program (no process numbers, no descriptors left): the others do without, for as long as a sink
// may be unavailable.
Verdict Judgement::without_program(const Death& death) {
  Verdict verdict{kExitOk, {}, {}, milliseconds{1'000}};
  if (!programs_.since || programs_.progress != progress()) {
    programs_ = {death.now, {}, progress()};
    verdict.event = "worker-failed";
    verdict.text = fmt::format("{}; trying again", death.retry);
  }
  programs_.fault = death.retry;
  if (std::string why = given_up(programs_, death.now); !why.empty()) return ends(kExitIo, std::move(why));
  return verdict;
}

// That is no fault of the worker, and lasts as long as it lasts.
Verdict Judgement::without_sink(const Death& death) {
  Verdict verdict{kExitOk, {}, {}, milliseconds{500}};
  if (!sink_.since) {
    sink_.since = death.now;
    verdict.event = "sink-unavailable";
    verdict.text = fmt::format("{}; trying again until it works", death.retry);
  }
  sink_.fault = death.retry;
  return verdict;
}

std::string Judgement::given_up(const Outage& outage, std::chrono::steady_clock::time_point now) const {
  if (job_.follow || !outage.since || now - *outage.since <= job_.pipeline.source.give_up) return {};
  return fmt::format("{}; for more than {} (source.give_up). Run again to continue", outage.fault,
                     config::format_duration(job_.pipeline.source.give_up));
}

}  // namespace leat::supervisor

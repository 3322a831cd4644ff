#include "daemon/cli/leatd.h"

#include <fmt/format.h>
#include <langinfo.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "daemon/cli/daemon_status.h"
#include "daemon/control/client.h"
#include "daemon/supervisor/process.h"
#include "proto/base/human.h"
#include "proto/base/json.h"
#include "proto/base/text.h"

namespace leat::cli {

namespace {

using control::Call;
using control::Received;
using control::Request;

constexpr std::chrono::milliseconds kStatusLimit{5000};
constexpr std::size_t kMaxName = 32;
constexpr const char* kMachinesFolder = "/run/leat";
constexpr std::size_t kWidth = 100;
// leatd takes 32 at once, and others want to ask it too.
constexpr std::size_t kAtOnce = 16;

std::string runtime_dir(const std::string& chosen) {
  if (!chosen.empty()) return chosen;
  const char* set = std::getenv("LEAT_RUNTIME_DIR");
  return set != nullptr && *set != '\0' ? set : kMachinesFolder;
}

Request request_of(const std::string& command, const std::string& pipeline) {
  Request request;
  request.command = command;
  request.pipeline = pipeline;
  return request;
}

Result<Received> ask(const std::string& folder, const Request& request,
                     std::optional<std::chrono::milliseconds> limit = std::nullopt) {
  return Call::begin(folder, request).and_then([&](Call call) { return call.finish(limit, STDOUT_FILENO); });
}

// What leatd refuses goes to stderr, as every error does.
int say(const Received& received, bool json) {
  if (received.exit_code != kExitOk && !received.text.empty()) {
    fmt::print(stderr, "leat: {}\n", printable_lines(received.text));
  } else if (!json && !received.text.empty()) {
    fmt::print("{}\n", printable_lines(received.text));
  }
  if (json) fmt::print("{}\n", received.data.empty() ? "{}" : received.data);
  return received.exit_code;
}

// What was no file was taken for the name of a pipeline.
Error unanswered(const std::string& pipeline, Error error) {
  if (!pipeline.empty()) error.text = fmt::format("there is no file {}, and {}", pipeline, error.text);
  return error;
}

// An answer that is a program's output.
int pass_on(const std::string& folder, const Request& request) {
  auto received = ask(folder, request);
  if (!received) return fail_with(unanswered(request.pipeline, received.error()));
  return received->streamed ? received->exit_code : say(*received, false);
}

std::size_t width_of_stdout() {
  winsize size{};
  return ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : kWidth;
}

bool unicode() {
  return std::string_view(::nl_langinfo(CODESET)) == "UTF-8";
}

Result<proto::Status> status_of(const std::string& folder) {
  return ask(folder, request_of("status", ""), kStatusLimit).and_then([](const Received& received) {
    return received.exit_code == kExitOk ? parse_status(received.data)
                                         : fail(Fault::kFatal, received.text, received.exit_code);
  });
}

void print_as_line(const std::string& pipeline, const Received& received) {
  JsonWriter json;
  json.object([&] {
    json.put("pipeline", pipeline);
    json.put("exit_code", static_cast<std::uint64_t>(received.exit_code));
    json.put("text", received.text);
  });
  std::string line = json.text();
  line.pop_back();
  fmt::print("{},\"data\":{}}}\n", line, received.data.empty() ? "{}" : received.data);
}

int say_of(const std::string& pipeline, Result<Received> received, bool json) {
  if (!received)
    return fail_with({Fault::kFatal, pipeline + ": " + received.error().text, received.error().exit_code});
  if (json) {
    print_as_line(pipeline, *received);
    return received->exit_code;
  }
  if (!received->text.starts_with(pipeline)) received->text = fmt::format("{}: {}", pipeline, received->text);
  return say(*received, false);
}

// A drain may take long: all are asked before the first is waited for.
int change_all(const std::string& folder, const ChangeOptions& options) {
  auto status = status_of(folder);
  if (!status) return fail_with(status.error());
  std::vector<std::string> names;
  for (const auto& pipeline : status->pipelines) {
    if (pipeline.state != "refused") names.push_back(pipeline.name);
  }
  if (names.empty()) {
    fmt::print(stderr, "leat: this leatd has no pipeline\n");
    return kExitNoInput;
  }
  int exit_code = kExitOk;
  for (std::size_t at = 0; at < names.size(); at += kAtOnce) {
    std::size_t end = std::min(names.size(), at + kAtOnce);
    std::vector<Result<Call>> calls;
    for (std::size_t i = at; i < end; ++i)
      calls.push_back(Call::begin(folder, request_of(options.command, names[i])));
    for (std::size_t i = at; i < end; ++i) {
      auto& call = calls[i - at];
      Result<Received> received =
          call ? call->finish(std::nullopt, STDOUT_FILENO) : tl::unexpected(call.error());
      int code = say_of(names[i], std::move(received), options.json);
      if (exit_code == kExitOk) exit_code = code;
    }
  }
  return exit_code;
}

// What a pipeline names is let into the sandboxes of its processors by drop-ins that a generator writes: only root, who asks
// for the reload of the machine's own leatd, may have them written again. Without them a unit keeps its old sandbox.
void refresh_units(const std::string& folder) {
  bool booted = ::access("/run/systemd/system", F_OK) == 0;
  if (::geteuid() != 0 || !booted || folder != kMachinesFolder) return;
  auto done = supervisor::capture("/usr/bin/systemctl", {"daemon-reload"}, 4096);
  if (!done)
    fmt::print(stderr, "leat: the units of processors keep their sandboxes: {}\n",
               printable(done.error().text));
}

}  // namespace

bool is_leatds(const std::string& name) {
  bool could_be =
      !name.empty() && name.size() <= kMaxName && std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
      });
  struct stat info {};
  return could_be && (::stat(name.c_str(), &info) != 0 || S_ISDIR(info.st_mode));
}

int leatd_status(const StatusOptions& options) {
  auto received =
      ask(runtime_dir(options.runtime_dir), request_of("status", options.of.pipeline), kStatusLimit);
  if (!received) return fail_with(unanswered(options.of.pipeline, received.error()));
  if (received->exit_code != kExitOk || options.json) return say(*received, options.json);
  auto status = parse_status(received->data);
  if (!status) return fail_with(status.error());
  fmt::print("{}", to_text(*status, width_of_stdout(), unicode()));
  return kExitOk;
}

int leatd_sources(const SourcesOptions& options) {
  Request request = request_of("sources", options.of.pipeline);
  if (!options.state_filter.empty()) request.arguments = {"--state-filter", options.state_filter};
  if (options.json) request.arguments.emplace_back("--json");
  return pass_on(runtime_dir(options.runtime_dir), request);
}

int leatd_dead(const DeadOptions& options) {
  Request request = request_of("dead", options.from);
  request.arguments.emplace_back(options.show ? "show" : "ls");
  if (options.show) request.arguments.push_back(fmt::format("{}", options.number));
  if (options.record_only) request.arguments.emplace_back("--record");
  if (options.json) request.arguments.emplace_back("--json");
  return pass_on(runtime_dir(options.runtime_dir), request);
}

int change(const ChangeOptions& options) {
  std::string folder = runtime_dir(options.runtime_dir);
  if (options.all) return change_all(folder, options);
  Request request = request_of(options.command, options.pipeline);
  if (options.command == "scale") {
    request.role = "processor";
    request.workers = options.workers;
  }
  if (options.command == "reload") refresh_units(folder);
  auto received = ask(folder, request);
  return received ? say(*received, options.json) : fail_with(received.error());
}

std::string pipeline_of_leatd(const std::string& file) {
  auto received = ask(runtime_dir({}), request_of("status", {}), kStatusLimit);
  if (!received || received->exit_code != kExitOk) return {};
  auto status = parse_status(received->data);
  if (!status) return {};
  struct stat ours {};
  if (::stat(file.c_str(), &ours) != 0) return {};
  for (const proto::PipelineStatus& pipeline : status->pipelines) {
    struct stat its {};
    bool runs = pipeline.state != "stopped" && pipeline.state != "refused";
    if (runs && ::stat(pipeline.file.c_str(), &its) == 0 && its.st_dev == ours.st_dev &&
        its.st_ino == ours.st_ino) {
      return pipeline.name;
    }
  }
  return {};
}

}  // namespace leat::cli

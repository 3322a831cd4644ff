#include "daemon/plan/surroundings.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <span>

#include "config/glob.h"
#include "config/keys.h"
#include "config/text.h"
#include "daemon/supervisor/process.h"
#include "proto/base/files.h"

namespace leat::plan {

namespace {

using config::in_quotes;

bool has_one_of(std::string_view path, std::span<const std::string_view> placeholders) {
  return std::any_of(placeholders.begin(), placeholders.end(),
                     [&](std::string_view name) { return path.find(name) != std::string_view::npos; });
}

bool has_placeholder(std::string_view path) {
  return has_one_of(path, config::names::kPlaceholders);
}

bool below(std::string_view path, std::string_view folder) {
  return path == folder || folder == "/" ||
         (path.starts_with(folder) && path.size() > folder.size() && path[folder.size()] == '/');
}

bool below_any(std::string_view path, const std::vector<std::string>& folders) {
  return std::any_of(folders.begin(), folders.end(),
                     [&](const std::string& folder) { return below(path, folder); });
}

void check_output(std::string_view key, const std::string& path, const std::string& mount,
                  std::vector<std::string>& wrong) {
  const std::string folder = fixed_folder(path, "{");
  struct stat info {};
  if (::stat(folder.c_str(), &info) != 0 && errno == ENOENT) {
    wrong.push_back(fmt::format("{}: there is no folder {}{}", key, folder,
                                mount.empty() ? "; make it: mkdir -p " + in_quotes(folder)
                                              : fmt::format(" (is {} mounted?)", mount)));
  } else if (!has_placeholder(path) && ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) {
    wrong.push_back(fmt::format("{}: {} is a folder, not a file: add a name", key, path));
  }
}

std::vector<std::string> words(std::string_view text) {
  std::vector<std::string> found;
  for (std::size_t at = 0; (at = text.find_first_not_of(' ', at)) != std::string_view::npos;) {
    const std::size_t end = std::min(text.find(' ', at), text.size());
    found.emplace_back(text.substr(at, end - at));
    at = end;
  }
  return found;
}

// What is read, written, removed or run: the key and the path, up to where it is no longer certain.
struct Use {
  std::string key;
  std::string path;
  bool writes = false;
};

void add_sets(const std::vector<config::Predicate>& predicates, std::vector<Use>& uses) {
  for (const auto& predicate : predicates) {
    add_sets(predicate.children, uses);
    if (predicate.op == config::Predicate::Op::kInFile) uses.push_back({"in_file", predicate.text});
    if (predicate.op == config::Predicate::Op::kNotInFile) uses.push_back({"not_in_file", predicate.text});
  }
}

std::vector<Use> uses_of(const config::Pipeline& pipeline) {
  std::vector<Use> uses;
  const bool takes_away = !pipeline.source.after.empty();
  for (const auto& glob : pipeline.source.paths)
    uses.push_back({takes_away ? "source.after" : "source.paths", config::glob_root(glob), takes_away});
  if (pipeline.source.after.starts_with("move:"))
    uses.push_back({"source.after.move", pipeline.source.after.substr(5), true});
  add_sets(pipeline.filter.keep, uses);
  for (const auto& step : pipeline.process.steps) {
    for (const auto& word : step.command) {
      if (word.starts_with('/')) uses.push_back({"exec.command", word});
    }
  }
  uses.push_back({"sink.path", fixed_folder(pipeline.sink.path, "{"), true});
  if (!pipeline.dead_letter_path.empty())
    uses.push_back({"dead_letter.path", folder_of(pipeline.dead_letter_path), true});
  return uses;
}

std::string wrong_with(const Use& use, const Sandbox& sandbox) {
  const bool home = below_any(use.path, {"/home", "/root", "/run/user"});
  const bool tmp = below_any(use.path, {"/tmp", "/var/tmp"});
  if (home && sandbox.homes_hidden) {
    return fmt::format("leatd does not see {} (ProtectHome=): keep it elsewhere, or see docs/systemd.md",
                       use.path);
  }
  if (tmp && sandbox.own_tmp)
    return fmt::format("{} is another folder for leatd, which has a /tmp of its own: keep it elsewhere",
                       use.path);
  if (!use.writes || below_any(use.path, sandbox.writable)) return "";
  return fmt::format("leatd may not write to {}, only below {}: write there, or see docs/systemd.md",
                     use.path, fmt::join(sandbox.writable, " "));
}

}  // namespace

std::string wrong_with_following(std::string_view who, const std::string& sink_path) {
  if (has_one_of(sink_path, config::names::kEndingPlaceholders)) return "";
  return fmt::format("{} never ends, so the sink needs a placeholder ({}), got {}{}", who,
                     config::joined(config::names::kEndingPlaceholders), sink_path,
                     has_placeholder(sink_path) ? "; {date} ends no output" : "");
}

std::vector<std::string> wrong_with_outputs(const config::Pipeline& pipeline, bool begun) {
  std::vector<std::string> wrong;
  const config::Sink& sink = pipeline.sink;
  struct stat info {};
  if (has_placeholder(sink.path) && !has_one_of(sink.path, config::names::kEndingPlaceholders)) {
    wrong.emplace_back(
        "sink.path: {date} ends no output, so leatd and --follow would never publish one and are refused; "
        "add {n}, {stem} or {path}");
  }
  if (!sink.path.starts_with("/dev/")) {
    check_output("sink.path", sink.path, sink.require_mount, wrong);
    if (wrong.empty() && !begun && !has_placeholder(sink.path) && ::stat(sink.path.c_str(), &info) == 0 &&
        S_ISREG(info.st_mode)) {
      wrong.push_back(
          fmt::format("sink.path: {} exists already: a run is refused without --force", sink.path));
    }
  }
  if (!pipeline.dead_letter_path.empty())
    check_output("dead_letter.path", pipeline.dead_letter_path, sink.require_mount, wrong);
  if (pipeline.source.after.starts_with("move:")) {
    const std::string folder = pipeline.source.after.substr(5);
    if (::stat(folder.c_str(), &info) != 0)
      wrong.push_back(fmt::format("source.after.move: there is no folder {}", folder));
  }
  return wrong;
}

Sandbox parse_sandbox(std::string_view shown) {
  Sandbox sandbox;
  while (!shown.empty()) {
    const std::size_t end = std::min(shown.find('\n'), shown.size());
    const std::string_view line = shown.substr(0, end);
    shown.remove_prefix(std::min(end + 1, shown.size()));
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string_view name = line.substr(0, equals);
    const std::string_view value = line.substr(equals + 1);
    if (name == "ReadWritePaths") {
      sandbox.writable.clear();
      for (std::string& path : words(value))
        sandbox.writable.push_back(path.substr(path.find_first_not_of("-+")));
    } else if (name == "ProtectHome") {
      sandbox.homes_hidden = value == "yes" || value == "tmpfs";
    } else if (name == "PrivateTmp") {
      sandbox.own_tmp = value != "no";
    } else if (name == "ProtectSystem" && value != "strict") {
      sandbox.writable.emplace_back("/");
    }
  }
  return sandbox;
}

Sandbox sandbox_of_leatd() {
  if (::access("/run/systemd/system", F_OK) != 0) return {};
  auto shown = supervisor::capture("/usr/bin/systemctl",
                                   {"show", "leatd.service", "-p", "LoadState", "-p", "ReadWritePaths", "-p",
                                    "ProtectHome", "-p", "PrivateTmp", "-p", "ProtectSystem"},
                                   std::size_t{64} * 1024);
  if (!shown || shown->find("LoadState=loaded") == std::string::npos) return {};
  return parse_sandbox(*shown);
}

std::vector<config::Problem> wrong_for_service(const config::Pipeline& pipeline, const std::string& file,
                                               const Sandbox& sandbox) {
  std::vector<config::Problem> wrong;
  if (std::string text = wrong_with_following("leatd", pipeline.sink.path); !text.empty())
    wrong.push_back({file, {}, "sink.path", std::move(text)});
  for (const Use& use : uses_of(pipeline)) {
    std::string text = wrong_with(use, sandbox);
    if (!text.empty()) wrong.push_back({file, {}, use.key, std::move(text)});
  }
  return wrong;
}

}  // namespace leat::plan

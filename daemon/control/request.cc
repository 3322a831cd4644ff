#include "daemon/control/request.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "config/text.h"
#include "proto/base/json.h"
#include "proto/base/text.h"

namespace leat::control {

namespace {

enum class Needs : std::uint8_t { kNone, kMaybe, kName };

struct Rule {
  std::string_view command;
  Needs pipeline;
  bool changes;
};

constexpr std::array<Rule, 9> kRules{{{"status", Needs::kMaybe, false},
                                      {"scale", Needs::kName, true},
                                      {"pause", Needs::kName, true},
                                      {"resume", Needs::kName, true},
                                      {"drain", Needs::kName, true},
                                      {"stop", Needs::kName, true},
                                      {"reload", Needs::kNone, true},
                                      {"sources", Needs::kName, false},
                                      {"dead", Needs::kName, false}}};

constexpr std::array<std::string_view, 4> kStates{"reading", "done", "changed", "failed"};

const Rule* rule_of(std::string_view command) {
  const auto* found =
      std::find_if(kRules.begin(), kRules.end(), [&](const Rule& rule) { return rule.command == command; });
  return found == kRules.end() ? nullptr : found;
}

tl::unexpected<Error> refuse(std::string text) {
  return fail(Fault::kReject, std::move(text), kExitUsage);
}

// "": not there, or no string.
std::string_view string_at(const JsonValue& object, std::string_view key) {
  return object[key].as_text().value_or("");
}

Result<void> take_pipeline(const JsonValue& object, const Rule& rule, Request& request) {
  const bool named{object["pipeline"]};
  if (!named && rule.pipeline != Needs::kName) return {};
  if (rule.pipeline == Needs::kNone) return refuse(fmt::format("{} takes no pipeline", rule.command));
  if (!named) return refuse(fmt::format("{} wants the name of a pipeline", rule.command));
  std::string_view name = string_at(object, "pipeline");
  if (!is_name(name)) return refuse("the pipeline is no name: 1 to 64 of A-Z a-z 0-9 . _ - are expected");
  request.pipeline = name;
  return {};
}

Result<void> take_workers(const JsonValue& object, Request& request) {
  request.role = string_at(object, "role");
  if (request.role != "processor") return refuse("scale wants the role \"processor\"");
  const JsonValue workers = object["workers"];
  if (!workers) return refuse("scale wants workers: a number, or \"auto\"");
  if (workers.as_text() == "auto") return {};
  const auto number = workers.as_number();
  if (!number || *number > kMaxWorkers) {
    return refuse(fmt::format("workers must be a number from 0 to {}, or \"auto\"", kMaxWorkers));
  }
  request.workers = static_cast<std::uint32_t>(*number);
  return {};
}

bool is_number(std::string_view text) {
  return !text.empty() && text.size() <= 18 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// They become arguments of a program that may read more than the one who asks: only what is known passes.
bool allowed(const std::string& command, const std::vector<std::string>& arguments) {
  std::size_t at = 0;
  bool show = false;
  if (command == "dead") {
    if (arguments.empty() || (arguments[0] != "ls" && arguments[0] != "show")) return false;
    show = arguments[0] == "show";
    at = show ? 2 : 1;
    if (show && (arguments.size() < 2 || !is_number(arguments[1]))) return false;
  }
  for (; at < arguments.size(); ++at) {
    const std::string& argument = arguments[at];
    if (argument == "--json" || (show && argument == "--record")) continue;
    if (command != "sources" || argument != "--state-filter" || ++at == arguments.size()) return false;
    if (std::find(kStates.begin(), kStates.end(), arguments[at]) == kStates.end()) return false;
  }
  return true;
}

Result<void> take_arguments(const JsonValue& object, Request& request) {
  constexpr std::size_t kMost = 8;
  const JsonValue list = object["arguments"];
  if (list && (!list.is_array() || list.size() > kMost)) return refuse("arguments must be a short list");
  for (std::size_t i = 0; i < list.size(); ++i) {
    const auto argument = list[i].as_text();
    if (!argument) return refuse("arguments must be strings");
    request.arguments.emplace_back(*argument);
  }
  if (allowed(request.command, request.arguments)) return {};
  return refuse(request.command == "dead"
                    ? "dead takes the arguments ls [--json] or show N [--json | --record]"
                    : "sources takes the arguments [--state-filter reading|done|changed|failed] [--json]");
}

std::string known_commands() {
  std::vector<std::string_view> names;
  names.reserve(kRules.size());
  for (const auto& rule : kRules) names.push_back(rule.command);
  return config::joined(names);
}

}  // namespace

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
}

bool changes(std::string_view command) {
  const Rule* rule = rule_of(command);
  return rule == nullptr || rule->changes;
}

Result<Request> decode_request(std::string_view line) {
  if (!is_utf8(line)) {
    return refuse(fmt::format(
        "a request is one line of JSON; this one is wrong at byte {}, which is no UTF-8", utf8_prefix(line)));
  }
  const auto document = JsonDocument::parse(line);
  if (!document) return refuse("a request is one line of JSON; this one is " + document.error().text);
  const JsonValue object = document->root();
  if (!object.is_object()) return refuse("a request is a JSON object, this is none");
  std::string_view command = string_at(object, "command");
  const Rule* rule = rule_of(command);
  if (rule == nullptr) return refuse("the command is unknown to this leatd; there are: " + known_commands());
  Request request;
  request.command = command;
  auto taken = take_pipeline(object, *rule, request);
  if (taken && command == "scale") taken = take_workers(object, request);
  if (taken && (command == "sources" || command == "dead")) taken = take_arguments(object, request);
  if (!taken) return tl::unexpected(taken.error());
  return request;
}

std::string encode(const Request& request) {
  JsonWriter json(JsonFor::kLeat);
  json.object([&] {
    json.put("command", request.command);
    if (!request.pipeline.empty()) json.put("pipeline", request.pipeline);
    if (request.command == "scale") {
      json.put("role", request.role);
      if (request.workers) {
        json.put("workers", *request.workers);
      } else {
        json.put("workers", "auto");
      }
    }
    if (!request.arguments.empty()) json.put_all("arguments", request.arguments);
  });
  return json.text() + "\n";
}

}  // namespace leat::control

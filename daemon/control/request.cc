#include "daemon/control/request.h"

#include <fmt/format.h>
#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>
#include <array>

#include "config/text.h"

namespace leat::control {

namespace {

using rapidjson::Value;

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

std::string_view view(const Value& value) {
  return {value.GetString(), value.GetStringLength()};
}

// "": not there, or no string.
std::string_view string_at(const Value& object, const char* key) {
  auto member = object.FindMember(key);
  return member == object.MemberEnd() || !member->value.IsString() ? std::string_view() : view(member->value);
}

Result<void> take_pipeline(const Value& object, const Rule& rule, Request& request) {
  bool named = object.HasMember("pipeline");
  if (!named && rule.pipeline != Needs::kName) return {};
  if (rule.pipeline == Needs::kNone) return refuse(fmt::format("{} takes no pipeline", rule.command));
  if (!named) return refuse(fmt::format("{} wants the name of a pipeline", rule.command));
  std::string_view name = string_at(object, "pipeline");
  if (!is_name(name)) return refuse("the pipeline is no name: 1 to 64 of A-Z a-z 0-9 . _ - are expected");
  request.pipeline = name;
  return {};
}

Result<void> take_workers(const Value& object, Request& request) {
  request.role = string_at(object, "role");
  if (request.role != "processor") return refuse("scale wants the role \"processor\"");
  auto workers = object.FindMember("workers");
  if (workers == object.MemberEnd()) return refuse("scale wants workers: a number, or \"auto\"");
  if (workers->value.IsString() && view(workers->value) == "auto") return {};
  if (!workers->value.IsUint() || workers->value.GetUint() > kMaxWorkers) {
    return refuse(fmt::format("workers must be a number from 0 to {}, or \"auto\"", kMaxWorkers));
  }
  request.workers = workers->value.GetUint();
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

Result<void> take_arguments(const Value& object, Request& request) {
  constexpr std::size_t kMost = 8;
  auto list = object.FindMember("arguments");
  if (list != object.MemberEnd()) {
    if (!list->value.IsArray() || list->value.Size() > kMost) return refuse("arguments must be a short list");
    for (const auto& argument : list->value.GetArray()) {
      if (!argument.IsString()) return refuse("arguments must be strings");
      request.arguments.emplace_back(view(argument));
    }
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
  rapidjson::Document document;
  document.Parse<rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag>(line.data(),
                                                                                         line.size());
  if (document.HasParseError()) {
    return refuse(fmt::format("a request is one line of JSON; this one is wrong at byte {}",
                              document.GetErrorOffset()));
  }
  if (!document.IsObject()) return refuse("a request is a JSON object, this is none");
  std::string_view command = string_at(document, "command");
  const Rule* rule = rule_of(command);
  if (rule == nullptr) return refuse("the command is unknown to this leatd; there are: " + known_commands());
  Request request;
  request.command = command;
  auto taken = take_pipeline(document, *rule, request);
  if (taken && command == "scale") taken = take_workers(document, request);
  if (taken && (command == "sources" || command == "dead")) taken = take_arguments(document, request);
  if (!taken) return tl::unexpected(taken.error());
  return request;
}

std::string encode(const Request& request) {
  rapidjson::StringBuffer buffer;
  rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
  auto put = [&](const char* key, const std::string& value) {
    writer.Key(key);
    writer.String(value.data(), static_cast<rapidjson::SizeType>(value.size()));
  };
  writer.StartObject();
  put("command", request.command);
  if (!request.pipeline.empty()) put("pipeline", request.pipeline);
  if (request.command == "scale") {
    put("role", request.role);
    writer.Key("workers");
    if (request.workers) {
      writer.Uint(*request.workers);
    } else {
      writer.String("auto");
    }
  }
  if (!request.arguments.empty()) {
    writer.Key("arguments");
    writer.StartArray();
    for (const auto& argument : request.arguments) {
      writer.String(argument.data(), static_cast<rapidjson::SizeType>(argument.size()));
    }
    writer.EndArray();
  }
  writer.EndObject();
  return std::string(buffer.GetString(), buffer.GetSize()) + "\n";
}

}  // namespace leat::control

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <limits>

#include "config/text.h"
#include "config/yaml/sections.h"

namespace leat::config {
namespace {

using namespace std::chrono_literals;
using Op = Step::Op;

Pointer field(const Value& value) {
  return value.pointer(false).value_or(Pointer());
}

Pointer need_field(const Map& map, std::string_view name) {
  const auto value = map.need(name, "a JSON Pointer such as /text");
  return value ? field(*value) : Pointer();
}

// drop, keep: one pointer or a list of them.
std::vector<Pointer> fields(const Value& value) {
  if (!value.is(Node::Kind::kList)) return {field(value)};
  std::vector<Pointer> pointers;
  if (const auto items = value.list("JSON Pointers")) {
    for (const Value& item : *items) pointers.push_back(field(item));
  }
  return pointers;
}

// The mapping behind set, default, rename, copy, whose keys are pointers: calls use(pointer, value) for each.
template <class Use>
void each_field(const Value& value, std::string_view example, Use use) {
  if (!value.is(Node::Kind::kMap) || value.node().items.empty()) {
    value.expected(fmt::format("a mapping such as {}", example));
    return;
  }
  for (std::size_t i = 0; i < value.node().items.size(); ++i) {
    const Node::Key& key = value.node().keys[i];
    const auto pointer = Pointer::parse(key.text);
    if (!pointer || pointer->empty()) {
      value.problem_at(key, pointer
                                ? "expected a JSON Pointer to a field, got \"\", which is the whole record"
                                : pointer.error().text);
    }
    use(pointer ? *pointer : Pointer(), value.member(i));
  }
}

bool lies_within(const Pointer& inner, const Pointer& outer) {
  return inner.tokens().size() > outer.tokens().size() &&
         std::equal(outer.tokens().begin(), outer.tokens().end(), inner.tokens().begin());
}

void parse_moves(const Value& value, Step& step) {
  each_field(value, "{/from: /to}", [&](const Pointer& from, const Value& target) {
    Pointer to = field(target);
    if (step.op == Op::kRename && lies_within(to, from) && !from.empty()) {
      target.problem(
          fmt::format("a field cannot be moved into itself: {} lies within {}", to.text(), from.text()));
    }
    step.moves.emplace_back(from, std::move(to));
  });
}

void parse_values(const Value& value, Step& step) {
  each_field(value, "{/kind: document}", [&](const Pointer& pointer, const Value& content) {
    step.values.emplace_back(pointer, content.json().value_or(""));
  });
}

void parse_length(const Value& value, Step& step) {
  const Map map(value, keys::kLength);
  step.from = need_field(map, "from");
  step.to = need_field(map, "to");
}

void parse_hash(const Value& value, Step& step) {
  const Map map(value, keys::kHash);
  step.from = need_field(map, "from");
  step.to = need_field(map, "to");
  if (const auto algorithm = map.find("algorithm")) {
    step.algorithm = static_cast<HashAlgorithm>(algorithm->choice(names::kHashAlgorithms).value_or(0));
  }
}

void parse_truncate(const Value& value, Step& step) {
  const Map map(value, keys::kTruncate);
  step.from = need_field(map, "field");
  if (const auto to = map.need("to", "how many characters or elements may stay")) {
    step.length =
        static_cast<std::uint64_t>(to->integer(0, std::numeric_limits<std::int64_t>::max()).value_or(0));
  }
}

// "$1" where the pattern has a group 1: what Perl and JavaScript write for RE2's \1. "" when there is none.
std::string dollar_group(const std::string& with, int groups) {
  for (std::size_t at = 0; (at = with.find('$', at)) != std::string::npos; ++at) {
    const char digit = at + 1 < with.size() ? with[at + 1] : ' ';
    if (digit >= '1' && digit <= '9' && digit - '0' <= groups) return with.substr(at, 2);
  }
  return "";
}

void parse_replace(const Value& value, Step& step) {
  const Map map(value, keys::kReplace);
  step.from = need_field(map, "field");
  const auto pattern = map.need("pattern", "a regular expression (RE2)");
  const auto with = map.need("with", "the text for each match; \\1 is its first group");
  if (with) step.with = with->text().value_or("");
  if (!pattern) return;
  const auto text = pattern->text("a regular expression (RE2)");
  if (!text) return;
  step.pattern = *text;
  const RE2 compiled(*text, RE2::Quiet);
  std::string error;
  if (!compiled.ok()) {
    pattern->problem(
        fmt::format("expected a regular expression (RE2), got {}: {}", in_quotes(*text), compiled.error()));
  } else if (with && !compiled.CheckRewriteString(step.with, &error)) {
    with->problem(
        fmt::format("{} does not fit the pattern {}: {}", in_quotes(step.with), in_quotes(*text), error));
  } else if (const std::string group = dollar_group(step.with, compiled.NumberOfCapturingGroups());
             with && !group.empty()) {
    with->problem(fmt::format(
        "{} is written as it stands: the group is \\{}; for a text with $ make the groups (?:...)", group,
        group.substr(1)));
  }
}

// "NAME", or the mapping {NAME: value}.
void parse_variable(const Value& item, Step& step) {
  constexpr std::string_view kExpected = "the name of a variable, or NAME: value";
  EnvironmentVariable variable;
  if (item.is(Node::Kind::kMap) && item.node().items.size() == 1) {
    variable.name = item.node().keys[0].text;
    const Value value = item.member(0);
    if (const auto text = value.text()) variable.value = interpolated(value, *text).value_or("");
  } else if (const auto name = item.text(kExpected)) {
    variable.name = *name;
  } else {
    return;
  }
  if (!is_variable_name(variable.name)) item.expected(kExpected);
  step.environment.push_back(std::move(variable));
}

void parse_allow(const Value& value, Step& step) {
  const auto items = value.list("unix_sockets, file_attributes");
  if (!items) return;
  for (const Value& item : *items) {
    const auto choice = item.choice(names::kAllow);
    if (choice) (*choice == 0 ? step.unix_sockets : step.file_attributes) = true;
  }
}

void parse_sandbox(const Map& map, const std::string& base_dir, Step& step) {
  const auto env = map.find("env");
  const auto variables = env ? env->list("variables such as [API_TOKEN, MODEL: small]") : std::nullopt;
  for (const Value& item : variables.value_or(std::vector<Value>())) parse_variable(item, step);
  const auto write = map.find("write");
  const auto folders = write ? write->list("folders such as [cache]") : std::nullopt;
  for (const Value& item : folders.value_or(std::vector<Value>())) {
    if (auto path = parse_path(item, base_dir)) step.write.push_back(*std::move(path));
  }
  map.size("memory", step.memory_bytes, 16 * kMiB, 1024 * kGiB);
  map.integer("processes", step.processes, 1, 32'768);
  if (const auto allow = map.find("allow")) parse_allow(*allow, step);
}

void parse_exec(const Value& value, const std::string& base_dir, Step& step) {
  const Map map(value, keys::kExec);
  map.duration("timeout", step.timeout, 1ms, 24h * 30);
  parse_sandbox(map, base_dir, step);
  const auto command = map.need("command", "a list such as [python3, enrich.py]");
  if (!command) return;
  const auto words = command->list("the program and its arguments, such as [python3, enrich.py]");
  if (!words) return;
  for (const Value& word : *words) step.command.push_back(word.text().value_or(""));
  if (step.command[0].empty() && words->front().is(Node::Kind::kQuoted)) {
    words->front().problem("expected the name of a program, got \"\"");
  }
}

void parse_fields(const Value& value, Step& step) {
  step.pointers = fields(value);
}

// The parser of a step that names no files.
template <void (*Parse)(const Value&, Step&)>
void plain(const Value& value, const std::string&, Step& step) {
  Parse(value, step);
}

using Parser = void (*)(const Value&, const std::string& base_dir, Step&);
constexpr Parser kParsers[] = {plain<parse_fields>,  plain<parse_fields>, plain<parse_moves>,
                               plain<parse_moves>,   plain<parse_values>, plain<parse_values>,
                               plain<parse_length>,  plain<parse_hash>,   plain<parse_truncate>,
                               plain<parse_replace>, parse_exec};  // in the order of Step::Op
static_assert(std::size(kParsers) == std::size(names::kStep));

Step parse_step(const Value& value, const std::string& base_dir) {
  Step step;
  step.where = value.where();
  if (!value.is(Node::Kind::kMap)) {
    value.expected("a step such as drop: [/mtime]");
    return step;
  }
  const Map map(value, config::keys::kStep);
  const auto& keys = value.node().keys;
  if (keys.size() != 1) {
    value.problem(
        fmt::format("expected one step in a list item, got {}; begin each with \"- \"", keys.size()));
  }
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const auto op = static_cast<std::size_t>(std::ranges::find(names::kStep, keys[i].text) - names::kStep);
    if (op == std::size(names::kStep)) continue;
    step.op = static_cast<Op>(op);
    kParsers[op](value.member(i), base_dir, step);
  }
  return step;
}

}  // namespace

std::vector<Step> parse_steps(const Value& value, const std::string& base_dir) {
  if (!value.is(Node::Kind::kList)) {
    value.expected("a list of steps", value.is(Node::Kind::kMap) ? "begin each one with \"- \"" : "");
    return {};
  }
  std::vector<Step> steps;
  for (std::size_t i = 0; i < value.node().items.size(); ++i)
    steps.push_back(parse_step(value.item(i), base_dir));
  return steps;
}

}  // namespace leat::config

// Steps over a record, both made from the input: the result must be JSON, and the same as the slow
// reference's, order of keys and text of numbers included. A record that is not JSON must only be survived.
#include <fuzzer/FuzzedDataProvider.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "tests/fuzz/reference.h"
#include "workers/processor/steps.h"
#include "workers/stage/json/index.h"
#include "workers/stage/json/scan.h"

namespace {

using namespace leat;
using Op = config::Step::Op;

constexpr std::array<const char*, 9> kNames = {"a", "b", "c", "", "-", "0", "1", "2", "long name / é"};
constexpr std::array<const char*, 11> kKeys = {"\"a\"",
                                               "\"b\"",
                                               "\"c\"",
                                               "\"\"",
                                               "\"-\"",
                                               "\"0\"",
                                               "\"1\"",
                                               "\"\\u0061\"",
                                               "\"\\u0062\"",
                                               "\"long name \\/ é\"",
                                               "\"long name / f\""};
constexpr std::array<const char*, 14> kScalars = {
    "1",
    "-0.0",
    "1.0e5",
    "123456789012345678901234567890",
    "true",
    "false",
    "null",
    "\"\"",
    "\"plain\"",
    "\"\\u0041\\n\\\\\"",
    "\"\\ud83d\\ude00😀é€ and more text, ASCII, for 8 bytes at a time\"",
    "\"[{:,\"",
    "\"\\\\\"",
    "\"aaa\\\"b\""};
constexpr std::array<const char*, 8> kValues = {"0",
                                                "\"v\"",
                                                "{}",
                                                "[]",
                                                R"({"a":{"b":[1,2]},"c":"x"})",
                                                R"([{"a":1},[0]])",
                                                "null",
                                                R"({"0":[1],"-":{}})"};
constexpr std::array<const char*, 5> kPatterns = {"a", "[a-z]+", "^", "\\s*", "(.)(.)"};
constexpr std::array<const char*, 4> kRewrites = {"", "x", "\\0\\0", "\"\\\\"};
constexpr std::array<const char*, 6> kBlanks = {"", "", "", " ", "\t", " \r "};

config::Pointer pointer(FuzzedDataProvider& input) {
  std::string text;
  for (int depth = input.ConsumeIntegralInRange(0, 4); depth > 0; --depth) {
    text += '/';
    for (const char* c = input.PickValueInArray(kNames); *c != 0; ++c)
      text += *c == '/' ? "~1" : std::string(1, *c);
  }
  return config::Pointer::parse(text).value();
}

config::Step step(FuzzedDataProvider& input) {
  config::Step step;
  step.op = static_cast<Op>(input.ConsumeIntegralInRange<int>(0, static_cast<int>(Op::kReplace)));
  for (int i = input.ConsumeIntegralInRange(1, 3); i > 0; --i) {
    switch (step.op) {
      case Op::kDrop:
      case Op::kKeep:
        step.pointers.push_back(pointer(input));
        break;
      case Op::kRename:
      case Op::kCopy:
        step.moves.emplace_back(pointer(input), pointer(input));
        break;
      case Op::kSet:
      case Op::kDefault:
        step.values.emplace_back(pointer(input), input.PickValueInArray(kValues));
        break;
      default:
        break;
    }
  }
  if (step.op < Op::kLength) return step;
  step.from = pointer(input);
  step.to = pointer(input);
  step.length = input.ConsumeIntegralInRange<std::uint64_t>(0, 12);
  step.pattern = input.PickValueInArray(kPatterns);
  step.with = step.pattern.find('(') != std::string::npos ? "\\2\\1" : input.PickValueInArray(kRewrites);
  step.algorithm = input.ConsumeBool() ? config::HashAlgorithm::kXxh64 : config::HashAlgorithm::kSha256;
  return step;
}

void append_value(FuzzedDataProvider& input, std::string& out, int depth) {
  auto blank = [&] { out += input.PickValueInArray(kBlanks); };
  int kind = depth == 0 ? 0 : depth == 5 ? 2 : input.ConsumeIntegralInRange(0, 3);
  if (kind != 0 && kind != 1 && depth >= 5) kind = 2;
  if (kind >= 2 || input.remaining_bytes() == 0) {
    if (depth == 0) out += "{}";
    if (depth != 0) out += input.PickValueInArray(kScalars);
    return;
  }
  out += kind == 0 ? '{' : '[';
  blank();
  int items = input.ConsumeIntegralInRange(0, 5);
  for (int i = 0; i < items; ++i) {
    if (i > 0) out += ',';
    blank();
    if (kind == 0) {
      out += input.PickValueInArray(kKeys);
      blank();
      out += ':';
      blank();
    }
    append_value(input, out, depth + 1);
    blank();
  }
  out += kind == 0 ? '}' : ']';
}

bool is_json(const std::string& record) {
  std::string text = record + '\n';
  std::size_t size = text.size();
  text.append(kTailPadding, '\0');
  json::Scanner scanner{json::Paths{}};
  json::ScanError error;
  scanner.begin({text.data(), size});
  return scanner.next(0, size - 1, {}, error);
}

[[noreturn]] void differ(const char* what, const std::string& record, const std::string& result) {
  std::fprintf(stderr, "%s\nrecord %s\nresult %s\n", what, record.c_str(), result.c_str());
  std::abort();
}

void compare(const std::vector<config::Step>& steps, const std::string& record, const std::string& result,
             std::span<const std::uint64_t> misses) {
  auto tree = reference::parse(record);
  if (!tree || reference::has_duplicates(*tree)) return;
  reference::Record expected(std::move(*tree));
  for (std::size_t i = 0; i < steps.size(); ++i) {
    auto missed = expected.apply(steps[i]);
    if (!missed) return;
    if (*missed != misses[i]) differ("other misses than the reference", record, result);
  }
  auto made = reference::parse(result);
  if (!made || !(*made == expected.tree())) differ("another result than the reference", record, result);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FuzzedDataProvider input(data, size);
  std::vector<config::Step> list;
  for (int i = input.ConsumeIntegralInRange(1, 5); i > 0; --i) list.push_back(step(input));
  std::string record;
  if (input.ConsumeIntegralInRange(0, 3) == 0) {
    record = input.ConsumeRemainingBytesAsString();
  } else {
    append_value(input, record, 0);
  }
  if (record.find('\n') != std::string::npos) return 0;

  std::string text = record;
  text.append(kTailPadding, '\0');
  json::Index index;
  if (index.build({text.data(), record.size()}) != json::IndexFault::kNone) return 0;
  auto steps = processor::Steps::compile(list);
  if (!steps) std::abort();
  Buffer out;
  std::string reason;
  auto end = static_cast<std::uint32_t>(record.size());
  bool done = steps->apply({text.data(), record.size()}, 0, end, index.positions(), out, reason);
  if (!is_json(record)) return 0;
  std::string result(out.view());
  bool object = record[record.find_first_not_of(" \t\r")] == '{';
  if (done != object) differ("a dead letter that is none, or none that is one", record, reason);
  if (!done) return 0;
  if (!is_json(result)) differ("not JSON", record, result);
  compare(list, record, result, steps->misses());
  return 0;
}

#include "workers/processor/steps.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>

#include "proto/base/text.h"
#include "workers/processor/digest.h"
#include "workers/stage/json/text.h"

namespace leat::processor {

using Op = config::Step::Op;

struct Steps::Step {
  struct Move {
    Path from;
    Path to;
    bool same = false;
    bool inside = false;    // `to` lies in from
    bool siblings = false;  // two members of one parent
  };
  Op op = Op::kDrop;
  std::vector<Path> fields;
  std::vector<Move> moves;
  std::vector<std::pair<Path, std::string>> values;
  Path from;
  Path to;
  std::uint64_t length = 0;
  std::unique_ptr<RE2> pattern;
  std::string with;
  int groups = 1;  // that `with` may name, and the whole match
  std::optional<Digest> digest;
};

namespace {

bool starts_with(const config::Pointer& whole, std::span<const config::PointerToken> head) {
  return whole.tokens().size() >= head.size() && std::equal(head.begin(), head.end(), whole.tokens().begin());
}

const char* type_name(char first) {
  switch (first) {
    case '{':
      return "an object";
    case '[':
      return "an array";
    case '"':
      return "a string";
    case 't':
    case 'f':
      return "a boolean";
    case 'n':
      return "null";
    default:
      return "a number";
  }
}

// Bytes of the first `points` code points of what stands between the quotes of a string; no escape, pair of
// surrogate escapes or UTF-8 sequence is cut. Plain ASCII goes 8 bytes at a time.
std::size_t prefix_bytes(std::string_view inner, std::uint64_t points) {
  constexpr std::uint64_t kOnes = 0x0101010101010101ULL;
  constexpr std::uint64_t kHighs = kOnes << 7U;
  std::size_t at = 0;
  while (points > 0 && at < inner.size()) {
    if (points >= 8 && inner.size() - at >= 8) {
      std::uint64_t word = 0;
      std::memcpy(&word, inner.data() + at, 8);
      std::uint64_t backslash = word ^ (kOnes * '\\');
      if (((word | ((backslash - kOnes) & ~backslash)) & kHighs) == 0) {
        at += 8;
        points -= 8;
        continue;
      }
    }
    --points;
    if (inner[at] == '\\') {
      std::string_view escape = inner.substr(at);
      bool unicode = escape.size() > 3 && escape[1] == 'u';
      // A high surrogate is \uD8xx to \uDBxx; the scanner has seen that its other half follows.
      bool pair = unicode && (escape[2] | 0x20) == 'd' && std::strchr("89abAB", escape[3]) != nullptr;
      at += pair ? 12 : unicode ? 6 : 2;
    } else {
      ++at;
      while (at < inner.size() && (static_cast<unsigned char>(inner[at]) & 0xC0U) == 0x80U) ++at;
    }
  }
  return std::min(at, inner.size());
}

// What a large value took is not held while the next copy of it is made: 16 processors in 64 MiB have no room for that.
void let_go(std::string& text) {
  constexpr std::size_t kHeld = 128 * 1024;
  if (text.capacity() > kHeld) std::string().swap(text);  // an assignment would keep it
}

}  // namespace

Steps::Steps() = default;
Steps::Steps(Steps&&) noexcept = default;
Steps& Steps::operator=(Steps&&) noexcept = default;
Steps::~Steps() = default;

Result<Steps> Steps::compile(std::span<const config::Step> steps, std::size_t max_result_bytes) {
  Steps compiled;
  compiled.max_result_bytes_ = max_result_bytes;
  compiled.splice_.limit(max_result_bytes);
  for (const config::Step& source : steps) {
    LEAT_CHECK(source.op != Op::kExec, "an exec step among those that splice");
    Step& step = compiled.steps_.emplace_back();
    step.op = source.op;
    step.from = make_path(source.from);
    step.to = make_path(source.to);
    step.length = source.length;
    for (const config::Pointer& field : source.pointers) step.fields.push_back(make_path(field));
    for (const auto& [field, json] : source.values) step.values.emplace_back(make_path(field), json);
    for (const auto& [from, to] : source.moves) {
      std::span<const config::PointerToken> tokens = from.tokens();
      Step::Move& move = step.moves.emplace_back(Step::Move{.from = make_path(from), .to = make_path(to)});
      move.same = from == to;
      move.inside = !move.same && starts_with(to, tokens);
      move.siblings = !from.empty() && tokens.size() == to.tokens().size() &&
                      starts_with(to, tokens.first(tokens.size() - 1));
    }
    if (step.op == Op::kHash) step.digest.emplace(source.algorithm);
    if (step.op != Op::kReplace) continue;
    step.with = source.with;
    step.pattern = std::make_unique<RE2>(source.pattern, RE2::Quiet);
    step.groups = 1 + RE2::MaxSubmatch(step.with);
    std::string error = step.pattern->error();
    if (!step.pattern->ok() || !step.pattern->CheckRewriteString(step.with, &error)) {
      return fail(Fault::kFatal,
                  fmt::format("line {}: replace cannot use its pattern: {}", source.where.line, error),
                  kExitConfig);
    }
  }
  compiled.misses_.resize(compiled.steps_.size());
  return compiled;
}

bool Steps::apply(std::string_view text, std::uint32_t begin, std::uint32_t end,
                  std::span<const std::uint32_t> positions, Buffer& out, std::string& reason) {
  if (steps_.empty()) {
    out.append(text.substr(begin, end - begin));
    return true;
  }
  if (positions.empty() || text[positions.front()] != '{') {
    reason = fmt::format("steps want an object, got {}",
                         positions.empty() ? "nothing" : type_name(text[positions.front()]));
    return false;
  }
  splice_.open(text, begin, end, positions);
  const std::size_t before = out.size();
  over_ = 0;
  // A value that would be too long ends it: the next step could make more of it.
  for (std::size_t i = 0; i < steps_.size() && !is_over(); ++i) misses_[i] += run(steps_[i]);
  if (splice_.malformed()) {
    reason = "steps want valid JSON, got a broken object or array";
    return false;
  }
  if (!is_over()) splice_.write(out);
  splice_.arena().reset();
  if (!is_over()) return true;
  out.resize(before);
  reason =
      fmt::format("its result takes over {} bytes; {} are allowed: the larger of source.max_record and 16MiB",
                  std::max(over_, splice_.over()), max_result_bytes_);
  return false;
}

// Does one step; returns how many of its fields were a miss.
std::uint64_t Steps::run(Step& step) {
  std::uint64_t misses = 0;
  auto count = [&](bool hit) { misses += hit ? 0 : 1; };
  switch (step.op) {
    case Op::kDrop:
      for (const Path& field : step.fields) count(splice_.mark_dropped(field));
      splice_.sweep();
      break;
    case Op::kKeep:
      for (const Path& field : step.fields) count(splice_.mark_kept(field));
      splice_.prune();
      break;
    case Op::kRename:
      for (std::size_t i = 0; i < step.moves.size(); ++i) count(rename(step, i));
      break;
    case Op::kCopy:
      for (const Step::Move& move : step.moves) {
        Splice::Place from = splice_.find(move.from);
        count(from && (move.same || splice_.copy(from, move.to)));
      }
      break;
    case Op::kSet:
      for (const auto& [field, json] : step.values) count(put(field, json));
      break;
    case Op::kDefault:
      for (const auto& [field, json] : step.values) count(splice_.find(field) || put(field, json));
      break;
    case Op::kLength:
      count(length(step));
      break;
    case Op::kTruncate:
      count(truncate(step));
      break;
    case Op::kReplace:
      count(replace(step));
      break;
    case Op::kHash:
      count(hash(step));
      break;
    case Op::kExec:
      break;
  }
  return misses;
}

bool Steps::rename(const Step& step, std::size_t move) {
  const Step::Move& names = step.moves[move];
  if (names.inside || names.from.empty()) return false;
  Splice::Place from = splice_.find(names.from);
  return from && (names.same || splice_.rename(from, names.to, names.siblings));
}

bool Steps::put(const Path& to, std::string_view json) {
  Splice::Place place = splice_.make(to);
  if (place) splice_.set(place, json);
  return static_cast<bool>(place);
}

bool Steps::length(const Step& step) {
  Splice::Place from = splice_.find(step.from);
  if (!from) return false;
  std::uint64_t length = 0;
  switch (splice_.first_byte(from)) {
    case '"':
      length = json::code_points(splice_.value(from));
      break;
    case '{':
    case '[':
      length = splice_.count(from);
      break;
    default:
      return false;
  }
  fmt::format_int digits(length);
  return put(step.to, splice_.arena().keep({digits.data(), digits.size()}));
}

bool Steps::truncate(const Step& step) {
  Splice::Place place = splice_.find(step.from);
  if (!place) return false;
  char type = splice_.first_byte(place);
  if (type == '[') splice_.cut(place, step.length);
  if (type != '"') return type == '[';
  std::string_view raw = splice_.value(place);
  if (raw.size() < 2 || raw.size() - 2 <= step.length) return true;
  std::size_t bytes = prefix_bytes(raw.substr(1, raw.size() - 2), step.length);
  if (bytes == raw.size() - 2) return true;
  char* shorter = splice_.arena().take(bytes + 2);
  std::memcpy(shorter, raw.data(), bytes + 1);
  shorter[bytes + 1] = '"';
  splice_.set(place, {shorter, bytes + 2});
  return true;
}

bool Steps::replace(const Step& step) {
  Splice::Place place = splice_.find(step.from);
  if (!place || splice_.first_byte(place) != '"') return false;
  std::string_view text = json::decode(splice_.value(place), decoded_);
  if (!replace_all(step, text) || replaced_ == text) return true;
  // \C can match part of a code point.
  if (!is_utf8(replaced_)) return false;
  decoded_.clear();
  append_quoted(decoded_, replaced_);
  let_go(replaced_);
  splice_.set(place, splice_.arena().keep(decoded_));
  let_go(decoded_);
  return true;
}

// All that the pattern matches, from left to right, as RE2::GlobalReplace does: after an empty match, and after one that is
// where the last ended, one code point is passed over. But it ends at the bound, before the memory is taken. The result is
// in replaced_; false: there is none.
bool Steps::replace_all(const Step& step, std::string_view text) {
  replaced_.clear();
  std::array<re2::StringPiece, 10> groups;
  const re2::StringPiece whole(text.data(), text.size());
  const char* const end = text.data() + text.size();
  const char* last_end = nullptr;
  bool any = false;
  for (std::size_t at = 0; at <= text.size();) {
    if (!step.pattern->Match(whole, at, text.size(), RE2::UNANCHORED, groups.data(), step.groups)) {
      replaced_.append(text.substr(at));
      break;
    }
    const char* begin = groups[0].data();
    replaced_.append(text.data() + at, begin);
    at = static_cast<std::size_t>(begin - text.data());
    if (groups[0].empty() && begin == last_end) {
      if (begin == end) break;
      const std::size_t point = at;
      do ++at;
      while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80U);
      replaced_.append(text.substr(point, at - point));
    } else {
      step.pattern->Rewrite(&replaced_, step.with, groups.data(), step.groups);
      at += groups[0].size();
      last_end = text.data() + at;
      any = true;
    }
    if (replaced_.size() > max_result_bytes_) {
      over_ = replaced_.size();
      return false;
    }
  }
  return any;
}

bool Steps::hash(Step& step) {
  Splice::Place from = splice_.find(step.from);
  if (!from) return false;
  std::string_view bytes = splice_.value(from);
  if (splice_.first_byte(from) == '"') bytes = json::decode(bytes, decoded_);
  decoded_ = fmt::format("\"{}\"", step.digest->hex(bytes));
  return put(step.to, splice_.arena().keep(decoded_));
}

}  // namespace leat::processor

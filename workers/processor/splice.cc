// The record is a tree that is only as deep as it was read.
//
// The obvious way, a document parsed, changed and printed, costs ten times the copy it ends in and rewrites
// what was not asked to change: numbers, escapes, blanks. A list of edits sorted by offset is as fast as this,
// but steps apply to the result of the steps before, and an edit inside a moved, copied or made value has no
// offset.
//
// So: a container that a path enters is split, once, into its members; all others stay slices. A Member says
// where its bytes start, 16 bytes in all, as hostile records have millions of them; its bytes end where the
// next one's begin. Arrays are not split into elements but into runs of them, cut at the elements that
// a step names. What is known about the few members that a step has touched (a new key, a new value,
// members of its own) stands in a Touched.
//
// Writing (splice_write.cc) walks the split containers and emits slices; slices that meet are joined, so
// untouched members that follow each other are one copy, commas and blanks included. Each member but the
// first is emitted with the comma before it, and made ones stand behind all that came, so that commas come
// out right whatever is gone.
//
// Members, containers and Touched are known by number, not by pointer: the vectors grow while paths are
// walked.
#include "workers/processor/splice.h"

#include <array>
#include <cstring>

#include "workers/processor/blank.h"
#include "workers/stage/json/text.h"

namespace leat::processor {
namespace {

constexpr std::size_t kKeepMembers = 64 * 1024;
constexpr std::size_t kKeepBytes = 1024 * 1024;
constexpr std::size_t kKeepIndexes = 4;

constexpr std::array<std::int8_t, 256> kDepth = [] {
  std::array<std::int8_t, 256> table{};
  table['{'] = table['['] = 1;
  table['}'] = table[']'] = -1;
  return table;
}();

// The position behind the value at `at`; never past stop.
const std::uint32_t* skip(const char* base, const std::uint32_t* at, const std::uint32_t* stop) {
  int depth = 0;
  do {
    depth += kDepth[static_cast<unsigned char>(base[*at++])];
  } while (depth > 0 && at < stop);
  return at;
}

// Reads up to 7 bytes behind the text. Most keys are short, so that one word decides.
bool has_backslash(std::string_view text) {
  constexpr std::uint64_t kOnes = 0x0101010101010101ULL;
  for (std::size_t i = 0; i < text.size(); i += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data() + i, 8);
    word ^= kOnes * '\\';
    if (((word - kOnes) & ~word & (kOnes << 7U)) != 0) return text.find('\\', i) != std::string_view::npos;
  }
  return false;
}

}  // namespace

void Splice::open(std::string_view text, std::uint32_t begin, std::uint32_t end,
                  std::span<const std::uint32_t> positions) {
  members_.shrink(kKeepMembers);
  if (indexes_.size() > kKeepIndexes) indexes_.resize(kKeepIndexes);
  if (bytes_.capacity() > kKeepBytes) bytes_ = Buffer();
  members_.clear();
  touched_.clear();
  containers_.clear();
  marked_.clear();
  indexed_ = 0;
  arena_.reset();
  malformed_ = false;
  over_ = 0;
  record_ = text.substr(begin, end - begin);

  Touched record;
  record.begin = text.data() + positions.front();
  record.end = trim(record.begin, text.data() + end);
  record.at = positions.data();
  record.at_end = positions.data() + positions.size();
  members_.add({.touched = touched_.add(record)});
  root_ = enter({kNone, 0});
}

// Number of the position that ends the member: the comma or bracket behind it.
std::uint32_t Splice::end_of(const Container& container, std::uint32_t member) const {
  std::uint32_t next = after(member);
  if (next != kNone && members_[next].from != 0) return members_[next].from - 1;
  return static_cast<std::uint32_t>(container.close - container.open);
}

// As it stands in the text, with its quotes.
std::string_view Splice::key_of(const Container& container, const Member& member) const {
  const std::uint32_t* at = container.open + member.from;
  const char* begin = container.base + at[0];
  return {begin, trim(begin, container.base + at[1])};
}

bool Splice::is_key(const Container& container, const Member& member, const Token& token) {
  if (member.has(kGone)) return false;
  if (member.touched != kNone && touched_[member.touched].key != nullptr) {
    return touched_[member.touched].key->key == token.key;
  }
  std::string_view raw = key_of(container, member);
  if (member.tag == kEscapedTag) return json::decode(raw, scratch_) == token.key;
  return raw.substr(1, raw.size() - 2) == token.key;
}

Touched& Splice::touch(Place place) {
  Member& member = members_[place.member];
  if (member.touched != kNone) return touched_[member.touched];
  const Container& container = containers_[place.container];
  Touched value;
  value.at = container.open + member.from + (container.object ? 2 : 0);
  value.at_end = container.open + end_of(container, place.member);
  value.begin = container.base + *value.at;
  value.end = trim(value.begin, container.base + *value.at_end);
  member.touched = touched_.add(value);
  return touched_[member.touched];
}

// The container that a member's value is, or kNone.
std::uint32_t Splice::enter(Place place) {
  Touched& value = touch(place);
  if (value.child != kNone) return value.child;
  if (*value.begin != '{' && *value.begin != '[') return kNone;
  if (value.at == nullptr) index(value);
  if (malformed_) return kNone;
  Container container;
  container.object = *value.begin == '{';
  container.base = value.begin - *value.at;
  container.open = value.at;
  container.close = value.at_end - 1;
  bool closed =
      container.close > container.open && container.base[*container.close] == (container.object ? '}' : ']');
  if (!closed || (container.object && !split_object(container))) {
    malformed_ = true;
    return kNone;
  }
  if (!container.object && container.close - container.open > 1) {
    container.head = container.tail = members_.add({.from = 1, .flags = kRun | kJump});
  }
  value.child = containers_.add(container);
  return value.child;
}

// A value that a step made has no positions yet. It gets a copy with the padding that the index wants.
void Splice::index(Touched& value) {
  auto size = static_cast<std::size_t>(value.end - value.begin);
  char* copy = arena_.take(size + kTailPadding);
  std::memcpy(copy, value.begin, size);
  std::memset(copy + size, 0, kTailPadding);
  if (indexed_ == indexes_.size()) indexes_.emplace_back();
  json::Index& index = indexes_[indexed_++];
  if (index.build({copy, size}) != json::IndexFault::kNone || index.positions().empty()) {
    malformed_ = true;
    return;
  }
  value.begin = copy;
  value.end = copy + size;
  value.at = index.positions().data();
  value.at_end = value.at + index.positions().size();
}

bool Splice::split_object(Container& container) {
  const char* base = container.base;
  const std::uint32_t* at = container.open + 1;
  if (at == container.close) return true;
  container.head = members_.size();
  while (true) {
    if (container.close - at < 3 || base[at[0]] != '"' || base[at[1]] != ':') return false;
    const char* key = base + at[0];
    const char* key_end = trim(key, base + at[1]);
    if (key_end - key < 2 || key_end[-1] != '"') return false;
    std::string_view inner(key + 1, key_end - 1);
    container.tail = members_.add({.from = static_cast<std::uint32_t>(at - container.open),
                                   .tag = has_backslash(inner) ? kEscapedTag : tag_of(inner)});
    at = skip(base, at + 2, container.close);
    if (at == container.close) break;
    if (base[*at++] != ',') return false;
  }
  members_[container.tail].mark(kJump);
  return true;
}

// Cuts a run before the element at position `from`; what is behind becomes the new run that is returned.
std::uint32_t Splice::split_run(std::uint32_t container, std::uint32_t run, std::uint32_t from) {
  std::uint32_t number =
      members_.add({.from = from, .next = members_[run].next, .flags = members_[run].flags});
  members_[run].next = number;
  if (containers_[container].tail == run) containers_[container].tail = number;
  return number;
}

Spot Splice::locate(const Container& array, std::uint64_t index) {
  Spot spot;
  for (std::uint32_t i = array.head; i != kNone; i = after(i)) {
    const Member& member = members_[i];
    if (member.has(kGone)) continue;
    if (!member.has(kRun)) {
      if (spot.passed == index) return {i, member.from, index};
      ++spot.passed;
      continue;
    }
    const std::uint32_t* stop = array.open + end_of(array, i);
    for (const std::uint32_t* at = array.open + member.from; at < stop; ++at) {
      if (spot.passed == index) return {i, static_cast<std::uint32_t>(at - array.open), index};
      ++spot.passed;
      at = skip(array.base, at, stop);
      if (at < stop && array.base[*at] != ',') malformed_ = true;
    }
  }
  return spot;
}

std::uint32_t Splice::search(std::uint32_t container, const Token& token) {
  if (containers_[container].object) return search_key(container, containers_[container].head, token);
  return token.index == kNoIndex ? kNone : search_index(container, token.index);
}

std::uint32_t Splice::search_key(std::uint32_t container, std::uint32_t first, const Token& token) {
  if (first == kNone) return kNone;
  const Container& object = containers_[container];
  const Member* member = &members_[first];
  while (true) {
    if (member->tag == token.tag || member->tag == kEscapedTag) [[unlikely]] {
      if (is_key(object, *member, token)) return static_cast<std::uint32_t>(member - &members_[0]);
    }
    if (!member->has(kJump)) {
      ++member;
    } else if (member->next != kNone) {
      member = &members_[member->next];
    } else {
      return kNone;
    }
  }
}

// Finds an element, and cuts the run it is in so that it is a member of its own.
std::uint32_t Splice::search_index(std::uint32_t container, std::uint64_t index) {
  Spot spot = locate(containers_[container], index);
  if (spot.member == kNone || !members_[spot.member].has(kRun)) return spot.member;
  std::uint32_t element = spot.member;
  if (members_[element].from != spot.from) element = split_run(container, element, spot.from);
  const Container& array = containers_[container];
  std::uint32_t end = end_of(array, element);
  const std::uint32_t* behind = skip(array.base, array.open + spot.from, array.open + end);
  auto next = static_cast<std::uint32_t>(behind - array.open);
  if (next < end && array.base[*behind] != ',') malformed_ = true;
  if (next + 1 < end) split_run(container, element, next + 1);
  members_[element].clear(kRun);
  return element;
}

Splice::Place Splice::find(const Path& path) {
  Place place{kNone, 0};
  for (const Token& token : path) {
    std::uint32_t container = enter(place);
    if (container == kNone) return {};
    place = {container, search(container, token), &token};
    if (!place) return {};
  }
  return place;
}

}  // namespace leat::processor

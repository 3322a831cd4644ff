// What steps do to the tree of splice.cc.
#include <algorithm>

#include "workers/processor/splice.h"

namespace leat::processor {

// Paths end here in a member that was just made; the caller gives it a value.
Splice::Place Splice::make(const Path& path) {
  std::uint32_t container = root_;
  for (std::size_t depth = 0; depth < path.size() && container != kNone; ++depth) {
    const Token& token = path[depth];
    bool last = depth + 1 == path.size();
    Place place{container, search(container, token), &token};
    if (!place) {
      const Container& parent = containers_[container];
      if (!parent.object && !token.append && token.index != locate(parent, kNoIndex).passed) return {};
      place.member = append(container, token);
      if (!last) append_container(place, !path[depth + 1].append);
    }
    if (last) return place;
    container = enter(place);
  }
  return {};
}

std::uint32_t Splice::append(std::uint32_t container, const Token& token) {
  Container& parent = containers_[container];
  Touched value;
  value.key = parent.object ? &token : nullptr;
  value.replaced = true;
  std::uint32_t number = members_.add({.touched = touched_.add(value), .tag = token.tag, .flags = kJump});
  (parent.tail == kNone ? parent.head : members_[parent.tail].next) = number;
  parent.tail = number;
  return number;
}

void Splice::append_container(Place place, bool object) {
  touch(place).child = containers_.add({.object = object});
}

char Splice::first_byte(Place place) {
  const Touched& value = touch(place);
  if (value.child == kNone) return *value.begin;
  return containers_[value.child].object ? '{' : '[';
}

void Splice::give(Place place, Touched value) {
  Touched& target = touch(place);
  value.key = target.key;
  value.replaced = true;
  target = value;
  remove_shadowed(place);
}

void Splice::set(Place place, std::string_view json) {
  Touched value;
  value.begin = json.data();
  value.end = json.data() + json.size();
  give(place, value);
}

bool Splice::copy(Place from, const Path& to) {
  Touched source = touch(from);
  if (source.child != kNone) {
    std::string_view bytes = value(from);
    source = {};
    source.begin = bytes.data();
    source.end = bytes.data() + bytes.size();
  }
  Place target = make(to);
  if (target) give(target, source);
  return static_cast<bool>(target);
}

bool Splice::rename(Place from, const Path& to, bool siblings) {
  if (siblings && containers_[from.container].object) {
    remove_all(from.container, containers_[from.container].head, to.back());
    remove_shadowed(from);
    touch(from).key = &to.back();
    members_[from.member].tag = to.back().tag;
    return true;
  }
  Place target = make(to);
  if (!target) return false;
  give(target, touch(from));
  remove_shadowed(from);
  members_[from.member].mark(kGone);
  return true;
}

void Splice::remove_all(std::uint32_t container, std::uint32_t first, const Token& token) {
  for (std::uint32_t i = search_key(container, first, token); i != kNone;
       i = search_key(container, after(i), token)) {
    members_[i].mark(kGone);
  }
}

void Splice::remove_shadowed(Place place) {
  if (place.token == nullptr || !containers_[place.container].object) return;
  remove_all(place.container, after(place.member), *place.token);
}

std::uint64_t Splice::count(Place place) {
  std::uint32_t child = enter(place);
  if (child == kNone) return 0;
  const Container& container = containers_[child];
  if (!container.object) return locate(container, kNoIndex).passed;
  std::uint64_t members = 0;
  for (std::uint32_t i = container.head; i != kNone; i = after(i)) {
    if (!members_[i].has(kGone)) ++members;
  }
  return members;
}

void Splice::cut(Place place, std::uint64_t length) {
  std::uint32_t child = enter(place);
  if (child == kNone) return;
  Spot spot = locate(containers_[child], length);
  std::uint32_t first = spot.member;
  if (first == kNone) return;
  if (members_[first].has(kRun) && members_[first].from != spot.from)
    first = split_run(child, first, spot.from);
  for (std::uint32_t i = first; i != kNone; i = after(i)) members_[i].mark(kGone);
  remove_shadowed(place);
}

bool Splice::mark_dropped(const Path& path) {
  return !path.empty() && root_ != kNone && mark_dropped(root_, path, 0);
}

bool Splice::mark_dropped(std::uint32_t container, const Path& path, std::size_t depth) {
  const Token& token = path[depth];
  bool found = false;
  std::uint32_t i = search(container, token);
  while (i != kNone) {
    if (depth + 1 == path.size()) {
      marked_.push_back(i);
      found = true;
    } else {
      std::uint32_t child = enter({container, i, &token});
      if (child != kNone && mark_dropped(child, path, depth + 1)) found = true;
    }
    if (!containers_[container].object) break;
    i = search_key(container, after(i), token);
  }
  return found;
}

void Splice::sweep() {
  for (std::uint32_t i : marked_) members_[i].mark(kGone);
  marked_.clear();
}

bool Splice::mark_kept(const Path& path) {
  std::size_t before = marked_.size();
  Place place{kNone, 0};
  marked_.push_back(0);
  for (const Token& token : path) {
    std::uint32_t container = enter(place);
    place = {container, container == kNone ? kNone : search(container, token), &token};
    if (!place) {
      marked_.resize(before);
      return false;
    }
    marked_.push_back(place.member);
  }
  for (std::size_t i = before; i < marked_.size(); ++i) members_[marked_[i]].mark(kOnPath);
  members_[place.member].mark(kKept);
  return true;
}

void Splice::prune() {
  if (root_ != kNone && !members_[0].has(kKept)) prune(root_);
  for (std::uint32_t i : marked_) members_[i].clear(kKept | kOnPath);
  marked_.clear();
}

void Splice::prune(std::uint32_t container) {
  for (std::uint32_t i = containers_[container].head; i != kNone; i = after(i)) {
    Member& member = members_[i];
    if (member.has(kKept)) continue;
    if (member.has(kOnPath)) {
      prune(touched_[member.touched].child);
    } else {
      member.mark(kGone);
    }
  }
}

}  // namespace leat::processor

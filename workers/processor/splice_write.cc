// From the tree of splice.cc back to bytes.
#include <algorithm>

#include "workers/processor/blank.h"
#include "workers/processor/splice.h"

namespace leat::processor {

void Splice::write(Buffer& out) {
  const Touched& record = touched_[0];
  out_ = &out;
  made_ = 0;
  emit(record_.data(), record.begin);
  emit_value(record);
  emit(record.end, record_.data() + record_.size());
  flush();
}

std::string_view Splice::value(Place place) {
  const Touched& value = touch(place);
  if (value.child == kNone) return {value.begin, value.end};
  bytes_.clear();
  out_ = &bytes_;
  made_ = 0;
  emit_value(value);
  flush();
  return arena_.keep(bytes_.view());
}

void Splice::emit(const char* begin, const char* end) {
  if (begin == end) return;
  if (begin != run_end_) {
    flush();
    run_begin_ = begin;
  }
  run_end_ = end;
}

void Splice::flush() {
  if (run_begin_ != run_end_) {
    const auto bytes = static_cast<std::size_t>(run_end_ - run_begin_);
    made_ += bytes;
    if (made_ <= limit_) {
      out_->append(run_begin_, bytes);
    } else {
      over_ = std::max(over_, made_);
    }
  }
  run_begin_ = run_end_ = nullptr;
}

void Splice::emit_value(const Touched& value) {
  if (value.child != kNone) {
    emit_container(containers_[value.child]);
  } else {
    emit(value.begin, value.end);
  }
}

void Splice::emit_container(const Container& container) {
  if (container.open != nullptr && container.head == kNone) {
    emit(container.base + *container.open, container.base + *container.close + 1);
    return;
  }
  std::string_view brackets = container.object ? "{}" : "[]";
  if (container.open == nullptr) {
    emit(brackets.substr(0, 1));
  } else {
    emit(container.base + *container.open, container.base + *container.open + 1);
  }
  bool first = true;
  for (std::uint32_t i = container.head; i != kNone; i = after(i)) {
    if (members_[i].has(kGone)) continue;
    if (first && members_[i].from != 0) {
      emit(container.base + container.open[0] + 1, container.base + container.open[1]);
    }
    if (members_[i].touched == kNone) {
      std::uint32_t begin = members_[i].from - (first ? 0 : 1);
      for (std::uint32_t next = after(i); next != kNone && untouched(next); next = after(i)) i = next;
      emit(container.base + container.open[begin], container.base + container.open[end_of(container, i)]);
    } else {
      emit_touched(container, i, first);
    }
    first = false;
  }
  if (container.open == nullptr) {
    emit(brackets.substr(1));
  } else {
    emit(container.base + *container.close, container.base + *container.close + 1);
  }
}

// With the comma before it, unless it is the first.
void Splice::emit_touched(const Container& container, std::uint32_t number, bool first) {
  const Member& member = members_[number];
  if (member.from == 0) {
    const Touched& made = touched_[member.touched];
    if (!first) emit(",");
    if (made.key != nullptr) {
      emit(made.key->quoted);
      emit(":");
    }
    emit_value(made);
    return;
  }
  const std::uint32_t* at = container.open + member.from;
  const char* begin = container.base + (first ? at[0] : at[-1]);
  const char* end = container.base + container.open[end_of(container, number)];
  const Touched& touched = touched_[member.touched];
  const char* value = container.base + (container.object ? at[2] : at[0]);
  if (touched.key != nullptr) {
    std::string_view key = key_of(container, member);
    emit(begin, key.data());
    emit(touched.key->quoted);
    emit(key.data() + key.size(), value);
  } else {
    emit(begin, value);
  }
  if (touched.child == kNone && !touched.replaced) {
    emit(value, end);
  } else {
    emit_value(touched);
    emit(trim(value, end), end);
  }
}

}  // namespace leat::processor

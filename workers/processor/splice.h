// One record, changed by cutting its own bytes: what no edit touches is written as it came, in as few copies
// as there are gaps. splice.cc says how.
//
// Keys compare decoded, and of duplicate keys the first counts: writing to a member, or moving it, takes its
// shadowed duplicates away, so that a reader for whom the last one counts sees the same. Nothing here
// allocates in steady state.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proto/buffer.h"
#include "workers/processor/arena.h"
#include "workers/processor/path.h"
#include "workers/processor/pool.h"
#include "workers/processor/tree.h"
#include "workers/stage/json/index.h"

namespace leat::processor {

class Splice {
 public:
  // A member or element that exists. Valid until the next open().
  struct Place {
    std::uint32_t container = kNone;
    std::uint32_t member = kNone;  // 0: the record itself
    const Token* token = nullptr;
    explicit operator bool() const { return member != kNone; }
  };

  // Begins text[begin, end), an object, with its structural positions (workers/stage/json/index.h). text has
  // kTailPadding readable bytes behind it. Both must stay until write().
  void open(std::string_view text, std::uint32_t begin, std::uint32_t end,
            std::span<const std::uint32_t> positions);
  // A container that a path entered was not JSON: nothing else here can be believed.
  bool malformed() const { return malformed_; }

  Place find(const Path& path);
  // As find; what is missing is made: the last part, and parents as objects (as an array before "-"). An
  // array takes an element at "-" or at the index one past its last. None, and nothing made: path is empty,
  // or a parent is a scalar or an array with no such element.
  Place make(const Path& path);

  // The first byte of a value: what type it is.
  char first_byte(Place place);
  // The bytes of a value as it is now; they stay until the next open().
  std::string_view value(Place place);
  // json: one valid value without blanks around, which stays until write().
  void set(Place place, std::string_view json);
  // `to` takes the value of from. False: make(to) found no place.
  bool copy(Place from, const Path& to);
  // As copy, and from is gone; `to` is not inside of it, nor the same. siblings: both name members of one
  // parent; a member of an object then keeps its position.
  bool rename(Place from, const Path& to, bool siblings);

  // Members of an object or elements of an array.
  std::uint64_t count(Place place);
  // Takes away the elements of an array behind the first `length`.
  void cut(Place place, std::uint64_t length);

  // Marks what path names, with all duplicates (of parents too), for sweep(). False: it is missing.
  bool mark_dropped(const Path& path);
  void sweep();
  // Marks what path names for prune(), which takes away what is neither marked nor a parent of it.
  bool mark_kept(const Path& path);
  void prune();

  // No value and no record is made longer than that; what would be is skipped, and over() says how long it is.
  void limit(std::size_t bytes) { limit_ = bytes; }
  std::size_t over() const { return over_; }  // of the record since open(); 0: nothing was

  // Appends the record.
  void write(Buffer& out);

  Arena& arena() { return arena_; }

 private:
  std::uint32_t after(std::uint32_t i) const { return members_[i].has(kJump) ? members_[i].next : i + 1; }
  bool untouched(std::uint32_t i) const { return members_[i].touched == kNone && !members_[i].has(kGone); }
  std::uint32_t end_of(const Container& container, std::uint32_t member) const;
  std::string_view key_of(const Container& container, const Member& member) const;
  bool is_key(const Container& container, const Member& member, const Token& token);
  Touched& touch(Place place);

  std::uint32_t enter(Place place);
  void index(Touched& value);
  bool split_object(Container& container);
  std::uint32_t split_run(std::uint32_t container, std::uint32_t run, std::uint32_t from);
  Spot locate(const Container& array, std::uint64_t index);
  std::uint32_t search(std::uint32_t container, const Token& token);
  std::uint32_t search_key(std::uint32_t container, std::uint32_t first, const Token& token);
  std::uint32_t search_index(std::uint32_t container, std::uint64_t index);

  std::uint32_t append(std::uint32_t container, const Token& token);
  void append_container(Place place, bool object);
  void give(Place place, Touched value);
  void remove_all(std::uint32_t container, std::uint32_t first, const Token& token);
  void remove_shadowed(Place place);
  bool mark_dropped(std::uint32_t container, const Path& path, std::size_t depth);
  void prune(std::uint32_t container);

  void emit(const char* begin, const char* end);
  void emit(std::string_view bytes) { emit(bytes.data(), bytes.data() + bytes.size()); }
  void flush();
  void emit_value(const Touched& value);
  void emit_container(const Container& container);
  void emit_touched(const Container& container, std::uint32_t number, bool first);

  std::string_view record_;
  std::uint32_t root_ = kNone;
  bool malformed_ = false;
  Pool<Member> members_;
  Pool<Touched> touched_;
  Pool<Container> containers_;
  std::vector<std::uint32_t> marked_;
  std::vector<json::Index> indexes_;  // of values that steps made; the first indexed_ are in use
  std::size_t indexed_ = 0;
  Arena arena_;
  std::string scratch_;
  Buffer bytes_;
  Buffer* out_ = nullptr;
  std::size_t limit_ = std::numeric_limits<std::size_t>::max();
  std::size_t made_ = 0;  // bytes of what is written now
  std::size_t over_ = 0;
  const char* run_begin_ = nullptr;  // bytes to be written with one copy
  const char* run_end_ = nullptr;
};

}  // namespace leat::processor

// A set of texts that asks for little memory: what `in` and `in_file` look fields up in.
//
// A member of n bytes costs n + 1 bytes (n + 2 from 128 bytes on) and 6.7 bytes of table; if it is also the
// text of a JSON number, another 6.7 bytes. Members are found as texts (byte for byte) and, those that are
// JSON numbers, by value: the member "1" is found as the number 1.0.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proto/base/result.h"
#include "workers/filter/number.h"

namespace leat::filter {

inline constexpr std::uint64_t kMaxSetBytes = std::uint64_t{4} << 30;

class Set {
 public:
  // Reads a file of one member a line, each line being the text itself. LF or CRLF; blank lines (spaces and
  // tabs at most) and a leading byte order mark are skipped; the last line needs no newline. Reads in pieces.
  // Fails (kFatal): 78 when the file cannot be opened, is a folder, or has more than max_bytes; 74 when
  // reading fails.
  [[nodiscard]] static Result<Set> load(const std::string& path, std::uint64_t max_bytes = kMaxSetBytes);

  // Building: add() as often as you like, then seal() once; only then may be asked.
  // False: the set is full (its texts are at 4 GiB).
  [[nodiscard]] bool add(std::string_view member);
  void seal();  // drops duplicates, builds the tables

  bool has_text(std::string_view text) const;
  bool has_number(const Number& number) const;

  std::size_t size() const { return texts_.count; }            // different texts
  std::size_t number_count() const { return numbers_.count; }  // different numbers among them
  std::size_t memory_bytes() const;

 private:
  // Open addressing with linear probing, at most 3/4 full. A byte of hash for each slot (0: free) decides
  // nearly every probe without touching the texts.
  struct Table {
    std::vector<std::uint8_t> tags;
    std::vector<std::uint32_t> offsets;
    std::size_t count = 0;

    void make_room(std::size_t members);
    // The slot of a member that `same(offset)` accepts, or the free slot where it belongs.
    template <class Same>
    std::size_t find(std::uint64_t hash, Same same) const;
    void put(std::size_t slot, std::uint64_t hash, std::size_t offset);
  };

  struct Member {
    std::string_view text;
    std::size_t next;  // offset of the member behind it
  };
  Member member_at(std::size_t offset) const;
  void index_texts();
  void index_numbers();

  std::string blob_;  // members one behind the other, each with its length in front (LEB128)
  std::size_t added_ = 0;
  std::size_t added_numbers_ = 0;
  Table texts_;
  Table numbers_;
};

}  // namespace leat::filter

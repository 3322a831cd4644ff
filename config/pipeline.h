// What a user writes in a pipeline file, after parsing and validation. Values only: no I/O, no defaults left open.
// DESIGN.md section 2 is the reference for keys and meaning; config/pipeline.schema.json is the same for editors. So it travels
// from the one that has checked it to the workers (encoding.h).
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/pointer.h"

namespace leat::config {

using std::chrono::milliseconds;

inline constexpr std::uint64_t kKiB = 1024;
inline constexpr std::uint64_t kMiB = 1024 * kKiB;
inline constexpr std::uint64_t kGiB = 1024 * kMiB;

enum class Compression : std::uint8_t { kAuto = 0, kNone = 1, kZstd = 2, kGzip = 3 };

// A place in a config file; line and column count from 1, 0 when unknown.
struct Where {
  int line = 0;
  int column = 0;
  bool operator==(const Where&) const = default;
  template <class Archive, class Self>
  static void fields(Archive& archive, Self& self) {
    archive("line", self.line, "column", self.column);
  }
};

// A JSON scalar from the config, to compare a field with.
struct Literal {
  enum class Type : std::uint8_t { kNull, kBool, kNumber, kString };
  Type type = Type::kNull;
  bool boolean = false;
  std::string text;  // kNumber: the number as JSON text (never hex, inf, nan); kString: decoded UTF-8
  bool operator==(const Literal&) const = default;
  template <class Archive, class Self>
  static void fields(Archive& archive, Self& self) {
    archive("type", self.type, "boolean", self.boolean, "text", self.text);
  }
};

struct Predicate {
  enum class Op : std::uint8_t {
    kAll,
    kAny,
    kNot,  // children (kNot: exactly one)
    kExists,
    kMissing,
    kEq,
    kNe,  // values[0]
    kLt,
    kLe,
    kGt,
    kGe,  // values[0]: a number or a string
    kIn,
    kNotIn,  // values
    kInFile,
    kNotInFile,  // text: absolute path, one member a line
    kContains,
    kStartsWith,  // text: decoded UTF-8
    kMatches,     // text: an RE2 pattern that compiles
    kType,        // text: one of null boolean number integer string array object
    kMinLength,
    kMaxLength,  // length: code points of a string, members of an array or object
  };
  Op op = Op::kAll;
  Pointer field;  // the leaf operators
  std::vector<Literal> values;
  std::string text;
  std::uint64_t length = 0;
  std::vector<Predicate> children;
  Where where;
  bool operator==(const Predicate&) const = default;
  template <class Archive, class Self>
  static void fields(Archive& archive, Self& self) {
    archive("op", self.op, "field", self.field, "values", self.values, "text", self.text, "length",
            self.length, "children", self.children, "where", self.where);
  }
};

enum class HashAlgorithm : std::uint8_t { kXxh64, kSha256 };

struct EnvironmentVariable {
  std::string name;
  std::optional<std::string> value;  // none: as it is in leat's own environment
  bool operator==(const EnvironmentVariable&) const = default;
  template <class Archive, class Self>
  static void fields(Archive& archive, Self& self) {
    archive("name", self.name, "value", self.value);
  }
};

struct Step {
  enum class Op : std::uint8_t {
    kDrop,
    kKeep,  // pointers
    kRename,
    kCopy,  // moves: from -> to, in the order written
    kSet,
    kDefault,  // values: field -> compact JSON text, in the order written
    kLength,
    kHash,      // from, to
    kTruncate,  // from; length: code points of a string, elements of an array
    kReplace,   // from; pattern (RE2), with (RE2 rewrite: \0, \1 ...); every match
    kExec,      // command, timeout, and what its program is given and may do
  };
  Op op = Op::kDrop;
  std::vector<Pointer> pointers;
  std::vector<std::pair<Pointer, Pointer>> moves;
  std::vector<std::pair<Pointer, std::string>> values;
  Pointer from;
  Pointer to;
  std::uint64_t length = 0;
  std::string pattern;
  std::string with;
  HashAlgorithm algorithm = HashAlgorithm::kXxh64;
  std::vector<std::string> command;  // argv; run with the pipeline file's folder as working directory
  milliseconds timeout{30'000};
  std::vector<EnvironmentVariable> environment;
  std::vector<std::string> write;  // absolute folders
  std::uint64_t memory_bytes = 0;  // of each of its processes; 0: no limit
  int processes = 512;             // and threads, all that it has started
  bool unix_sockets = false;
  bool file_attributes = false;
  Where where;
  bool operator==(const Step&) const = default;
  template <class Archive, class Self>
  static void fields(Archive& archive, Self& self) {
    archive("op", self.op, "pointers", self.pointers, "moves", self.moves, "values", self.values, "from",
            self.from, "to", self.to, "length", self.length, "pattern", self.pattern, "with", self.with,
            "algorithm", self.algorithm, "command", self.command, "timeout", self.timeout);
    archive("environment", self.environment, "write", self.write, "memory_bytes", self.memory_bytes,
            "processes", self.processes, "unix_sockets", self.unix_sockets, "file_attributes",
            self.file_attributes, "where", self.where);
  }
};

struct Source {
  std::vector<std::string> paths;    // absolute globs; * ? [..] within a folder, ** crosses folders
  std::vector<std::string> exclude;  // absolute globs, or names that hold no '/': glob.h, is_excluded()
  Compression compression = Compression::kAuto;
  milliseconds poll{5'000};
  milliseconds settle{10'000};
  bool growing = false;           // tail files as they grow, without settling
  std::string require_mount;      // absolute; empty: none
  milliseconds give_up{600'000};  // a plain run: an outage longer than this ends it
  std::uint64_t max_record_bytes = 16 * kMiB;
  std::string after;  // what becomes of a source that is done: "" it stays, "delete", "move:/absolute/folder"
  bool operator==(const Source&) const = default;
  template <class Archive, class Self>
  static void fields(Archive& archive, Self& self) {
    archive("paths", self.paths, "exclude", self.exclude, "compression", self.compression, "poll", self.poll,
            "settle", self.settle, "growing", self.growing, "require_mount", self.require_mount, "give_up",
            self.give_up, "max_record_bytes", self.max_record_bytes, "after", self.after);
  }
};

struct Filter {
  int workers = 1;
  std::vector<Predicate> keep;  // all must hold
  bool operator==(const Filter&) const = default;
  template <class Archive, class Self>
  static void fields(Archive& archive, Self& self) {
    archive("workers", self.workers, "keep", self.keep);
  }
};

// How many processors leat starts itself: a fixed number, or as many between the two as bring something. 0: none, they join
// from outside.
struct Workers {
  int min = 1;
  int max = 1;  // at least min; `auto` in the file is 1 to the number of online cores
  bool automatic() const { return min != max; }
  bool operator==(const Workers&) const = default;
  template <class Archive, class Self>
  static void fields(Archive& archive, Self& self) {
    archive("min", self.min, "max", self.max);
  }
};

struct Process {
  Workers workers;  // used only when there are steps
  milliseconds timeout{300'000};
  std::vector<Step> steps;
  bool operator==(const Process&) const = default;
  template <class Archive, class Self>
  static void fields(Archive& archive, Self& self) {
    archive("workers", self.workers, "timeout", self.timeout, "steps", self.steps);
  }
};

struct Rotate {
  std::uint64_t bytes = 0;  // uncompressed; 0: not by size
  milliseconds idle{0};     // 0: not by idleness
  bool operator==(const Rotate&) const = default;
  template <class Archive, class Self>
  static void fields(Archive& archive, Self& self) {
    archive("bytes", self.bytes, "idle", self.idle);
  }
};

struct Sink {
  std::string path;                              // absolute; may hold {stem} {path} {n} {date}
  Compression compression = Compression::kNone;  // resolved: never kAuto
  bool by_name = true;                           // the path decided it
  int level = 3;                                 // zstd 1..22 (and below 0), gzip 1..9
  int threads = 0;  // zstd worker threads; 0: compress in the writer's own thread
  Rotate rotate;
  std::string require_mount;
  bool operator==(const Sink&) const = default;
  template <class Archive, class Self>
  static void fields(Archive& archive, Self& self) {
    archive("path", self.path, "compression", self.compression, "by_name", self.by_name, "level", self.level,
            "threads", self.threads, "rotate", self.rotate, "require_mount", self.require_mount);
  }
};

// What `auto` means for an output, and its default level.
constexpr Compression compression_of(std::string_view path) {
  if (path.ends_with(".zst")) return Compression::kZstd;
  return path.ends_with(".gz") ? Compression::kGzip : Compression::kNone;
}
constexpr int default_level(Compression compression) {
  return compression == Compression::kGzip ? 6 : 3;
}

struct Limits {
  std::uint64_t memory_bytes = 64 * kMiB;
  std::uint64_t batch_bytes = 512 * kKiB;
  milliseconds commit_interval{1'000};
  std::uint64_t commit_bytes = 64 * kMiB;
  std::uint64_t zstd_window_bytes = 8 * kMiB;
  bool operator==(const Limits&) const = default;
  template <class Archive, class Self>
  static void fields(Archive& archive, Self& self) {
    archive("memory_bytes", self.memory_bytes, "batch_bytes", self.batch_bytes, "commit_interval",
            self.commit_interval, "commit_bytes", self.commit_bytes, "zstd_window_bytes",
            self.zstd_window_bytes);
  }
};

struct Pipeline {
  std::string name;      // [a-z0-9-]{1,32}
  std::string file;      // absolute path of the pipeline file
  std::string base_dir;  // its folder; relative paths were resolved against it
  Source source;
  Filter filter;
  Process process;
  Sink sink;
  std::string dead_letter_path;  // absolute; empty: none given
  Limits limits;

  bool has_processors() const { return !process.steps.empty(); }
  bool operator==(const Pipeline&) const = default;
  template <class Archive, class Self>
  static void fields(Archive& archive, Self& self) {
    archive("name", self.name, "file", self.file, "base_dir", self.base_dir, "source", self.source, "filter",
            self.filter, "process", self.process, "sink", self.sink, "dead_letter_path",
            self.dead_letter_path, "limits", self.limits);
  }
};

}  // namespace leat::config

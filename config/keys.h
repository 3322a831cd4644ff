// Every key and every named value that a pipeline file may hold. The parser reads with these tables and a
// unit test compares them with pipeline.schema.json, so that the two cannot drift apart.
#pragma once

#include <algorithm>
#include <array>
#include <iterator>
#include <span>
#include <string_view>

namespace leat::config {

inline constexpr int kMaxProcessors = 64;

using Names = std::span<const std::string_view>;

struct KeyTable {
  std::string_view schema;  // JSON Pointer to the same keys ("properties") in pipeline.schema.json
  Names keys;
  Names later;  // keys of a later version: refused as "not supported yet", never ignored; not in the schema
};

namespace names {
using std::string_view;

// In the order of the enumerators they stand for; so are kOperators and kStep.
inline constexpr string_view kCompressions[] = {"auto", "none", "zstd", "gzip"};
inline constexpr string_view kHashAlgorithms[] = {"xxh64", "sha256"};
inline constexpr string_view kTypes[] = {"null", "boolean", "number", "integer", "string", "array", "object"};
inline constexpr string_view kLiterals[] = {"null", "boolean", "number", "string"};
inline constexpr string_view kPlaceholders[] = {"{stem}", "{path}", "{n}", "{date}"};
// Of these, those by which an output ends before its run does: with its source, or with the number.
inline constexpr string_view kEndingPlaceholders[] = {"{stem}", "{path}", "{n}"};

inline constexpr string_view kRoot[] = {"version", "name", "source",      "filter",
                                        "process", "sink", "dead_letter", "limits"};
inline constexpr string_view kRootLater[] = {"tests"};
inline constexpr string_view kSource[] = {"paths",   "exclude",       "compression", "poll",       "settle",
                                          "growing", "require_mount", "give_up",     "max_record", "after"};
inline constexpr string_view kAfter[] = {"move"};
inline constexpr string_view kAfters[] = {"keep", "delete"};
inline constexpr string_view kFilter[] = {"workers", "keep"};
inline constexpr string_view kOperators[] = {
    "all",         "any",      "not",         "exists",  "missing", "eq",         "ne",
    "lt",          "le",       "gt",          "ge",      "in",      "not_in",     "in_file",
    "not_in_file", "contains", "starts_with", "matches", "type",    "min_length", "max_length"};
// Those that join others stand last.
inline constexpr auto kPredicate = [] {
  std::array<string_view, 1 + std::size(kOperators)> keys{"field"};
  std::ranges::rotate_copy(kOperators, kOperators + 3, keys.begin() + 1);
  return keys;
}();
inline constexpr string_view kPredicateLater[] = {"schema"};
inline constexpr string_view kProcess[] = {"workers", "timeout", "steps"};
inline constexpr string_view kWorkers[] = {"min", "max"};
inline constexpr string_view kStep[] = {"drop",   "keep", "rename",   "copy",    "set", "default",
                                        "length", "hash", "truncate", "replace", "exec"};
inline constexpr string_view kStepLater[] = {"lua", "plugin"};
inline constexpr string_view kLength[] = {"from", "to"};
inline constexpr string_view kTruncate[] = {"field", "to"};
inline constexpr string_view kReplace[] = {"field", "pattern", "with"};
inline constexpr string_view kHash[] = {"from", "to", "algorithm"};
inline constexpr string_view kExec[] = {"command", "timeout", "env", "write", "memory", "processes", "allow"};
inline constexpr string_view kAllow[] = {"unix_sockets", "file_attributes"};
inline constexpr string_view kSink[] = {"path", "compression", "level", "threads", "rotate", "require_mount"};
inline constexpr string_view kRotate[] = {"bytes", "idle"};
inline constexpr string_view kDeadLetter[] = {"path"};
inline constexpr string_view kLimits[] = {"memory", "batch", "commit", "zstd_window"};
inline constexpr string_view kCommit[] = {"interval", "bytes"};
}  // namespace names

namespace keys {
inline constexpr KeyTable kRoot{"/properties", names::kRoot, names::kRootLater};
inline constexpr KeyTable kSource{"/properties/source/properties", names::kSource, {}};
inline constexpr KeyTable kAfter{"/properties/source/properties/after/oneOf/1/properties", names::kAfter, {}};
inline constexpr KeyTable kFilter{"/properties/filter/properties", names::kFilter, {}};
inline constexpr KeyTable kPredicate{"/definitions/predicate/properties", names::kPredicate,
                                     names::kPredicateLater};
inline constexpr KeyTable kProcess{"/properties/process/properties", names::kProcess, {}};
inline constexpr KeyTable kWorkers{
    "/properties/process/properties/workers/oneOf/2/properties", names::kWorkers, {}};
inline constexpr KeyTable kStep{"/definitions/step/properties", names::kStep, names::kStepLater};
inline constexpr KeyTable kLength{"/definitions/step/properties/length/properties", names::kLength, {}};
inline constexpr KeyTable kTruncate{"/definitions/step/properties/truncate/properties", names::kTruncate, {}};
inline constexpr KeyTable kReplace{"/definitions/step/properties/replace/properties", names::kReplace, {}};
inline constexpr KeyTable kHash{"/definitions/step/properties/hash/properties", names::kHash, {}};
inline constexpr KeyTable kExec{"/definitions/step/properties/exec/properties", names::kExec, {}};
inline constexpr KeyTable kSink{"/properties/sink/properties", names::kSink, {}};
inline constexpr KeyTable kRotate{"/properties/sink/properties/rotate/properties", names::kRotate, {}};
inline constexpr KeyTable kDeadLetter{"/properties/dead_letter/properties", names::kDeadLetter, {}};
inline constexpr KeyTable kLimits{"/properties/limits/properties", names::kLimits, {}};
inline constexpr KeyTable kCommit{"/properties/limits/properties/commit/properties", names::kCommit, {}};

inline constexpr std::array kAll = {kRoot,    kSource, kAfter,  kFilter,     kPredicate, kProcess,
                                    kWorkers, kStep,   kLength, kTruncate,   kReplace,   kHash,
                                    kExec,    kSink,   kRotate, kDeadLetter, kLimits,    kCommit};
}  // namespace keys

}  // namespace leat::config

// The command line where CLI11 is too strict or says too little.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
class Error;
class Validator;
}  // namespace CLI

namespace leat::cli {

// Options in front of the command are moved behind it: `leat --runtime-dir DIR status` is `leat status --runtime-dir DIR`.
// app: with all its commands.
std::vector<std::string> options_last(const CLI::App& app, std::vector<std::string> arguments);

// What is wrong with the arguments of `command`, in one line: what is missing, or not known and what may have been meant.
std::string mistake(const CLI::App& command, const CLI::Error& error);

// "leat dead show"
std::string command_line_of(const CLI::App& command);

// Takes one of `names`, which must outlive it, and says what there is otherwise.
CLI::Validator one_of(std::span<const std::string_view> names);

}  // namespace leat::cli

// The control socket: one command a line, one answer a line; "error: ..." when a command was not understood.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <thread>

#include "proto/base/fd.h"

namespace faultfs {

class Control {
 public:
  // Takes a command's name and the words after it. Runs in the thread of this object; may throw.
  using Command = std::function<std::string(std::string_view name, std::istream& words)>;

  // Listens when it returns. Replaces a socket that is there. Throws std::system_error.
  Control(std::string path, Command command);
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;
  ~Control();  // ends the thread and removes the socket

 private:
  void serve();
  std::string answer(const std::string& line) const;

  std::string path_;
  Command command_;
  leat::Fd listening_, leave_;
  std::thread thread_;
};

}  // namespace faultfs

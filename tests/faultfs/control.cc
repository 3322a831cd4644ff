#include "tests/faultfs/control.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <sstream>
#include <system_error>
#include <vector>

namespace faultfs {
namespace {

struct Client {
  leat::Fd fd;
  std::string heard;
};

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

}  // namespace

Control::Control(std::string path, Command command)
    : path_(std::move(path)),
      command_(std::move(command)),
      listening_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)),
      leave_(eventfd(0, EFD_CLOEXEC)) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path_.size() >= sizeof(address.sun_path)) {
    errno = ENAMETOOLONG;
    fail(path_);
  }
  memcpy(address.sun_path, path_.c_str(), path_.size());
  unlink(path_.c_str());
  if (bind(listening_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      listen(listening_.get(), SOMAXCONN) != 0)
    fail(path_);
  // Signals are for the main thread, whose loop they end.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { serve(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Control::~Control() {
  eventfd_write(leave_.get(), 1);
  thread_.join();
  unlink(path_.c_str());
}

std::string Control::answer(const std::string& line) const {
  std::istringstream words(line);
  std::string name;
  words >> name;
  try {
    return command_(name, words) + "\n";
  } catch (const std::exception& error) {
    return std::string("error: ") + error.what() + "\n";
  }
}

void Control::serve() {
  std::vector<Client> clients;
  for (;;) {
    std::vector<pollfd> waits{{leave_.get(), POLLIN, 0}, {listening_.get(), POLLIN, 0}};
    for (const Client& client : clients) waits.push_back({client.fd.get(), POLLIN, 0});
    if (poll(waits.data(), waits.size(), -1) < 0) continue;
    if (waits[0].revents) return;
    for (std::size_t i = clients.size(); i-- > 0;) {
      if (!waits[i + 2].revents) continue;
      Client& client = clients[i];
      char piece[4096];
      const ssize_t got = recv(client.fd.get(), piece, sizeof piece, 0);
      if (got > 0) client.heard.append(piece, static_cast<std::size_t>(got));
      for (std::size_t end; (end = client.heard.find('\n')) != std::string::npos;) {
        const std::string said = answer(client.heard.substr(0, end));
        client.heard.erase(0, end + 1);
        for (std::size_t sent = 0; sent < said.size();) {
          const ssize_t n = send(client.fd.get(), said.data() + sent, said.size() - sent, MSG_NOSIGNAL);
          if (n <= 0) break;
          sent += static_cast<std::size_t>(n);
        }
      }
      if (got <= 0) clients.erase(clients.begin() + static_cast<std::ptrdiff_t>(i));
    }
    if (waits[1].revents) {
      leat::Fd fd(accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (fd) clients.push_back({std::move(fd), {}});
    }
  }
}

}  // namespace faultfs

#include "daemon/supervisor/signals.h"

#include <sys/signalfd.h>

#include <cerrno>
#include <system_error>

namespace leat::supervisor {

Signals::Signals() {
  sigset_t wanted;
  ::sigemptyset(&wanted);
  for (int signal : {SIGINT, SIGTERM}) ::sigaddset(&wanted, signal);
  struct sigaction hangup {};
  if (::sigaction(SIGHUP, nullptr, &hangup) == 0 && hangup.sa_handler != SIG_IGN)
    ::sigaddset(&wanted, SIGHUP);
  ::signal(SIGPIPE, SIG_IGN);
  ::sigprocmask(SIG_BLOCK, &wanted, &before_);
  fd_ = Fd(::signalfd(-1, &wanted, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!fd_) throw std::system_error(errno, std::generic_category(), "signalfd");
}

Signals::~Signals() {
  take();  // one that came too late for the run must not kill us when the mask goes
  ::sigprocmask(SIG_SETMASK, &before_, nullptr);
}

Signals::Taken Signals::take() {
  Taken taken;
  signalfd_siginfo info{};
  while (::read(fd_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    ++(info.ssi_signo == SIGHUP ? taken.hangups : taken.stops);
  }
  return taken;
}

}  // namespace leat::supervisor

#include "daemon/control/client.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <atomic>
#include <fstream>
#include <iterator>
#include <thread>

#include "tests/unit/control/sockets.h"
#include "tests/unit/skip.h"

using namespace leat;
using namespace leat::control;
using namespace leat::control::test;

namespace {

Request request_of(const std::string& command, const std::string& pipeline = "") {
  Request request;
  request.command = command;
  request.pipeline = pipeline;
  return request;
}

// A server with a loop of its own.
class Served {
 public:
  Served(const std::string& path, Handler handler) : server_(path, std::move(handler)) {}
  ~Served() {
    over_ = true;
    loop_.join();
  }

 private:
  Server server_;
  std::atomic<bool> over_ = false;
  std::thread loop_{[this] { serve_until(server_, [this] { return over_.load(); }); }};
};

class Output {
 public:
  explicit Output(const Folder& folder)
      : path_(folder.root() + "/output"), file_(::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {}
  int fd() const { return file_.get(); }
  std::string text() const {
    std::ifstream in(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }

 private:
  std::string path_;
  Fd file_;
};

// Answers anything with these bytes, once.
class Impostor {
 public:
  Impostor(const std::string& path, std::string bytes) : listener_(path, "leat") {
    thread_ = std::thread([this, bytes = std::move(bytes)] {
      pollfd wait{listener_.fd(), POLLIN, 0};
      ::poll(&wait, 1, 20'000);
      Fd client(::accept(listener_.fd(), nullptr, nullptr));
      std::array<char, 4096> request{};
      static_cast<void>(::recv(client.get(), request.data(), request.size(), 0) == 0);
      static_cast<void>(::send(client.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) == 0);
    });
  }
  ~Impostor() { thread_.join(); }

 private:
  Listener listener_;
  std::thread thread_;
};

Result<Received> ask(const Folder& folder, const Request& request, int output = -1) {
  return Call::begin(folder.root(), request).and_then([&](Call call) { return call.finish(20s, output); });
}

}  // namespace

TEST_CASE("an answer comes with its exit code, text and data") {
  Folder folder;
  Served served(folder.socket(), [](const Request& request, const Peer&) {
    return Reply{78, request.command + " refused", R"({"n":[1,2.5,18446744073709551615],"s":"x"})"};
  });
  auto received = ask(folder, request_of("pause", "a"));
  REQUIRE(received);
  CHECK(received->exit_code == 78);
  CHECK(received->text == "pause refused");
  CHECK(received->data == R"({"n":[1,2.5,18446744073709551615],"s":"x"})");
  CHECK_FALSE(received->streamed);
}

TEST_CASE("a stream is passed on byte for byte, whatever its bytes are") {
  Folder folder;
  Output output(folder);
  Served served(folder.socket(), [](const Request&, const Peer&) {
    return Stream{"/bin/sh",
                  {"-c",
                   "printf 'a\\036{\"exit_code\":9}\\nb\\036\\036'; head -c 1000000 /dev/zero; printf "
                   "'\\036{'; exit 66"}};
  });
  auto received = ask(folder, request_of("sources", "a"), output.fd());
  REQUIRE(received);
  CHECK(received->streamed);
  CHECK(received->exit_code == 66);
  CHECK(output.text() == "a\x1e{\"exit_code\":9}\nb\x1e\x1e" + std::string(1'000'000, '\0') + "\x1e{");
}

TEST_CASE("an empty stream has its exit code") {
  Folder folder;
  Output output(folder);
  Served served(folder.socket(), [](const Request&, const Peer&) { return Stream{"/bin/true", {}}; });
  auto received = ask(folder, request_of("sources", "a"), output.fd());
  REQUIRE(received);
  CHECK(received->exit_code == 0);
  CHECK(output.text().empty());
}

TEST_CASE("no leatd is told as such, with what to do") {
  Folder folder;
  auto absent = Call::begin(folder.root(), request_of("status"));
  REQUIRE_FALSE(absent);
  CHECK(absent.error().text ==
        "no leatd answers at " + folder.socket() + ": is it running? (systemctl status leatd)");
  CHECK(absent.error().exit_code == kExitIo);
  CHECK_FALSE(Call::begin("/" + std::string(200, 'x'), request_of("status")));
}

TEST_CASE("who may not talk to leatd is told how to be allowed to") {
  if (::geteuid() != 0) LEAT_SKIP("wants root");
  Folder folder;
  REQUIRE(::chmod(folder.root().c_str(), 0755) == 0);
  Listener listener(folder.socket(), "daemon");
  pid_t pid = ::fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    if (::setgid(54'322) != 0 || ::setuid(54'321) != 0) ::_exit(1);
    auto refused = Call::begin(folder.root(), request_of("status"));
    ::_exit(!refused && refused.error().text.find("usermod -aG leat NAME") != std::string::npos ? 7 : 2);
  }
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  CHECK(WEXITSTATUS(status) == 7);
}

TEST_CASE("a leatd that hangs is noticed in time") {
  Folder folder;
  Listener listener(folder.socket(), "leat");
  auto call = Call::begin(folder.root(), request_of("status"));
  REQUIRE(call);
  auto late = call->finish(30ms, -1);
  REQUIRE_FALSE(late);
  CHECK(late.error().text.find("does not answer in time") != std::string::npos);
}

TEST_CASE("half an answer is none") {
  for (const char* half :
       {"", "{\"exit_code\":0", "{\"stream\":true}\nabc", "{\"stream\":true}\nabc\x1e{\"exit"}) {
    Folder folder;
    Output output(folder);
    Impostor impostor(folder.socket(), half);
    auto received = ask(folder, request_of("sources", "a"), output.fd());
    REQUIRE_FALSE(received);
    CHECK(received.error().text.find("went away") != std::string::npos);
  }
}

TEST_CASE("what is no answer of a leatd is told as such") {
  for (const char* other : {"HTTP/1.1 400\r\n", "[]\n", "{\"exit_code\":\"0\"}\n"}) {
    Folder folder;
    Impostor impostor(folder.socket(), other);
    auto received = ask(folder, request_of("status"));
    REQUIRE_FALSE(received);
    CHECK(received.error().text.find("no leatd of this version") != std::string::npos);
  }
}

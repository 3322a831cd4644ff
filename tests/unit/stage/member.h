// A member of a pipeline without a process or a supervisor, and what stands before and behind it.
#pragma once

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/unit/folder.h"
#include "workers/stage/member.h"

namespace leat::test {

class Member final : public stage::Member {
 public:
  explicit Member(proto::Stage role) : stage::Member(role, 3, 30) {
    welcome_.epoch = 7;
    welcome_.pipeline_text = "text";
    pipeline_id_ = 99;
    page_.emplace(stage::MappedPage::create(folder_.path("page")));
  }
  void use(std::shared_ptr<proto::PayloadPool> payloads) { payloads_ = std::move(payloads); }
  proto::Welcome& welcome() { return welcome_; }
  std::string endpoint(const std::string& name) const { return "ipc://" + folder_.path(name); }
  void ask(proto::StopKind kind) { take_in(proto::Stop{kind}); }
  void tell(const proto::Control& control) { take_in(control); }
  void send_control(const proto::Control& control) override { said.push_back(control); }
  void poll_control() override {
    stage::Member::poll_control();
    ++polls;
    if (on_poll) on_poll();
  }
  stage::Activity activity() { return static_cast<stage::Activity>(page()->activity.load()); }
  // How often it has reported that.
  int reports(proto::ReportKind kind) const {
    int count = 0;
    for (const auto& control : said) {
      const auto* report = std::get_if<proto::Report>(&control);
      count += report != nullptr && report->kind == kind ? 1 : 0;
    }
    return count;
  }

  std::vector<proto::Control> said;
  std::function<void()> on_poll;
  int polls = 0;

 private:
  Folder folder_;
};

// Another end of a member's sockets.
class End {
 public:
  End(proto::Context& context, const std::string& endpoint, proto::SocketKind kind)
      : socket_(context, kind, 64) {
    if (kind == proto::SocketKind::kPull) {
      socket_.bind(endpoint);
    } else {
      socket_.connect(endpoint);
    }
  }
  // Waits for it.
  proto::Message receive() {
    proto::Loop loop;
    loop.add(socket_);
    REQUIRE(loop.run_once(std::chrono::seconds{10}));
    return *socket_.try_receive();
  }
  bool empty() {
    proto::Loop loop;
    loop.add(socket_);
    return !loop.run_once(std::chrono::milliseconds{20});
  }
  void send(proto::Message message) { REQUIRE(socket_.try_send(message)); }
  proto::Credit credit() {
    auto credit = proto::decode_credit(receive().view());
    REQUIRE(credit.has_value());
    return *credit;
  }
  proto::Header batch() {
    proto::PayloadPool payloads;
    auto batch = proto::Batch::decode(receive(), 1 << 20, payloads);
    REQUIRE(batch.has_value());
    return batch->header();
  }

 private:
  proto::Socket socket_;
};

}  // namespace leat::test

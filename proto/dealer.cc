#include "proto/dealer.h"

#include <algorithm>

namespace leat::proto {

namespace {
// The count of unanswered batches is the bound, and far below this. A PUSH checks only once a millisecond whether messages
// have left its queue, and learns of them in halves of the mark: at 16 a fast worker could seem full.
constexpr int kHighWaterMark = 1024;
constexpr int kCreditHighWaterMark = 1024;
}  // namespace

Dealer::Dealer(Context& context, const std::vector<std::string>& workers,
               const std::vector<std::uint64_t>& instances, const std::string& credit_endpoint)
    : context_(context),
      workers_(workers.size()),
      credits_(context, SocketKind::kPull, kCreditHighWaterMark) {
  LEAT_CHECK(workers.size() == instances.size(), "each endpoint has an instance");
  credits_.bind(credit_endpoint);
  for (std::uint32_t index = 0; index < workers.size(); ++index) {
    if (instances[index] != 0) add({index, static_cast<std::uint32_t>(instances[index]), workers[index]});
  }
}

Dealer::Worker* Dealer::find(std::uint32_t index, std::uint32_t instance) {
  if (index >= kMaxMembers) return nullptr;
  if (index >= workers_.size()) workers_.resize(index + 1);
  return instance < workers_[index].instance ? nullptr : &workers_[index];
}

void Dealer::add(const MemberAdded& member) {
  Worker* worker = find(member.index, member.instance);
  if (worker == nullptr || (worker->socket && worker->instance == member.instance)) return;
  *worker = Worker{};
  worker->instance = member.instance;
  worker->socket = std::make_unique<Socket>(context_, SocketKind::kPush, kHighWaterMark);
  worker->socket->connect(member.endpoint);
}

void Dealer::drain(const MemberDraining& member) {
  Worker* worker = find(member.index, member.instance);
  if (worker == nullptr) return;
  if (worker->instance != member.instance || !worker->socket) {
    drained_.push_back({member.index, member.instance});  // it has never been here, or is gone
    return;
  }
  worker->draining = true;
  note_if_drained(member.index);
}

void Dealer::remove(const MemberRemoved& member) {
  Worker* worker = find(member.index, member.instance);
  if (worker == nullptr) return;
  *worker = Worker{};
  worker->instance = member.instance;
}

void Dealer::note_if_drained(std::uint32_t index) {
  Worker& worker = workers_[index];
  if (!worker.draining || !worker.socket || worker.unanswered > 0) return;
  worker.socket.reset();
  drained_.push_back({index, worker.instance});
}

bool Dealer::draining() const {
  return std::any_of(workers_.begin(), workers_.end(),
                     [](const Worker& worker) { return worker.draining && worker.socket; });
}

bool Dealer::ready() const {
  return std::any_of(workers_.begin(), workers_.end(), [](const Worker& worker) { return worker.ready(); });
}

std::uint32_t Dealer::deal(Batch& batch) {
  // Of those that are ready, the one with the fewest unanswered.
  std::size_t best = next_;
  for (std::size_t step = 1; step < workers_.size(); ++step) {
    std::size_t candidate = (next_ + step) % workers_.size();
    const Worker& worker = workers_[candidate];
    if (!worker.ready()) continue;
    if (!workers_[best].ready() || worker.unanswered < workers_[best].unanswered) best = candidate;
  }
  next_ = (best + 1) % workers_.size();
  Worker& worker = workers_[best];
  LEAT_CHECK(worker.ready(), "dealt to a full worker");
  Message message = batch.share(worker.instance);
  // Unanswered batches are bounded below the high-water mark, so its socket always has room.
  LEAT_CHECK(worker.socket->try_send(message), "dealt to a full worker");
  ++worker.unanswered;
  return worker.instance;
}

void Dealer::collect(std::uint64_t epoch, const std::function<void(const Credit&)>& on_credit) {
  while (auto message = credits_.try_receive()) {
    auto credit = decode_credit(message->view());
    if (!credit || credit->epoch != epoch || credit->worker >= workers_.size()) continue;
    if (on_credit) on_credit(*credit);
    Worker& worker = workers_[credit->worker];
    if (worker.instance != credit->instance) continue;
    worker.unanswered = std::max(0, worker.unanswered - 1);
    note_if_drained(credit->worker);
    if (credit->records == 0) continue;  // the end of a source says nothing of what records take
    // Answers take a while to come back; a worker that is done before then would wait for the next batch. But one quick
    // batch among slow ones (all of its records were dropped before) does not make a fast worker: it would be dealt what
    // the others could do, and all behind it in the order wait for that.
    worker.service_us = std::max(credit->service_us, worker.service_us / 2);
    auto fits = static_cast<int>(std::min(kMaxUnansweredUs / std::max(worker.service_us, 1U), 64U));
    worker.most_unanswered = std::clamp(fits, kMaxUnanswered, kMaxUnansweredFast);
    double us = static_cast<double>(credit->service_us) / credit->records;
    record_us_ = record_us_ == 0 ? us : record_us_ * 0.75 + us * 0.25;
  }
}

}  // namespace leat::proto

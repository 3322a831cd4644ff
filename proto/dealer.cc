#include "proto/dealer.h"

#include <algorithm>

namespace leat::proto {

namespace {
// What a worker owes is the bound, and far below this. A PUSH looks only once a millisecond whether messages
// have left its queue, and is told of them in halves of the mark: at 16 a fast worker could seem full.
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
    if (instances[index] != 0) change({index, static_cast<std::uint32_t>(instances[index]), workers[index]});
  }
}

void Dealer::change(const Pool& pool) {
  if (pool.index >= kMaxPlaces) return;
  if (pool.index >= workers_.size()) workers_.resize(pool.index + 1);
  if (pool.instance < workers_[pool.index].instance) return;
  Worker& worker = workers_[pool.index];
  if (pool.leaving) {
    if (pool.instance != worker.instance || !worker.socket) {
      retired_.push_back({pool.index, pool.instance});  // it has never been here, or is gone
    } else {
      worker.leaving = true;
      retire_if_through(pool.index);
    }
    return;
  }
  if (worker.socket && pool.instance == worker.instance && !pool.endpoint.empty()) return;
  worker = Worker{};
  worker.instance = pool.instance;
  if (pool.endpoint.empty()) return;
  worker.socket = std::make_unique<Socket>(context_, SocketKind::kPush, kHighWaterMark);
  worker.socket->connect(pool.endpoint);
}

void Dealer::retire_if_through(std::uint32_t index) {
  Worker& worker = workers_[index];
  if (!worker.leaving || !worker.socket || worker.owed > 0) return;
  worker.socket.reset();
  retired_.push_back({index, worker.instance});
}

bool Dealer::retiring() const {
  return std::any_of(workers_.begin(), workers_.end(),
                     [](const Worker& worker) { return worker.leaving && worker.socket; });
}

bool Dealer::ready() const {
  return std::any_of(workers_.begin(), workers_.end(), [](const Worker& worker) { return worker.ready(); });
}

std::uint32_t Dealer::deal(Batch& batch) {
  // The one that owes least of those that may owe more.
  std::size_t best = next_;
  for (std::size_t step = 1; step < workers_.size(); ++step) {
    std::size_t candidate = (next_ + step) % workers_.size();
    const Worker& worker = workers_[candidate];
    if (!worker.ready()) continue;
    if (!workers_[best].ready() || worker.owed < workers_[best].owed) best = candidate;
  }
  next_ = (best + 1) % workers_.size();
  Worker& worker = workers_[best];
  LEAT_CHECK(worker.ready(), "dealt to a full worker");
  Message message = batch.share(worker.instance);
  // What a worker owes is bounded below the high-water mark, so its socket always has room.
  LEAT_CHECK(worker.socket->try_send(message), "dealt to a full worker");
  ++worker.owed;
  return worker.instance;
}

void Dealer::collect(std::uint64_t epoch, const std::function<void(const Credit&)>& on_credit) {
  while (auto message = credits_.try_receive()) {
    auto credit = decode_credit(message->view());
    if (!credit || credit->epoch != epoch || credit->worker >= workers_.size()) continue;
    if (on_credit) on_credit(*credit);
    Worker& worker = workers_[credit->worker];
    if (worker.instance != credit->instance) continue;
    worker.owed = std::max(0, worker.owed - 1);
    retire_if_through(credit->worker);
    if (credit->records == 0) continue;  // the end of a source says nothing of what records take
    // Answers take a while to come back; a worker that is through before then would wait for the next batch. But one quick
    // batch among slow ones (all of its records were dropped before) does not make a fast worker: it would be dealt what
    // the others could do, and everyone behind it in the order waits for that.
    worker.service_us = std::max(credit->service_us, worker.service_us / 2);
    auto fits = static_cast<int>(std::min(kMaxOwedUs / std::max(worker.service_us, 1U), 64U));
    worker.may_owe = std::clamp(fits, kMaxUnanswered, kMaxUnansweredFast);
    double us = static_cast<double>(credit->service_us) / credit->records;
    record_us_ = record_us_ == 0 ? us : record_us_ * 0.75 + us * 0.25;
  }
}

}  // namespace leat::proto

#include "queue/queue.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <future>
#include <stdexcept>
#include <utility>

#include "base/assert.h"
#include "base/checksum.h"
#include "base/log.h"
#include "queue/queue_impl.h"

namespace mansio {
namespace {

constexpr std::size_t page_size = 1000;
/// Overdue lanes are woken one after the other, but none later than that, so that a restart is no
/// burst.
constexpr Duration spread_step = std::chrono::milliseconds(1);
constexpr Duration spread_max = std::chrono::seconds(5);

}  // namespace

Queue::Impl::Impl(Ports its_ports, std::shared_ptr<const settings::Settings> settings)
    : ports(std::move(its_ports)),
      settings_(std::move(settings)),
      id_random_(ports.random()),
      ids_(*id_random_),
      notices_({ports.spool, ports.clock, [this] { return new_id(); }, ports.random(),
                std::move(ports.bounce_builder)}) {
  MANSIO_ASSERT(!ports.loops.empty());
  memory->limit = settings_->limits.memory;
  const queue::Configuration configuration{settings_, ports.channels};
  for (std::size_t index = 0; index < ports.loops.size(); ++index) {
    auto dispatch_notices = [this, index](std::vector<std::shared_ptr<const Message>> notices) {
      for (const auto& notice : notices) {
        const std::vector<Time> due(notice->lanes.size(), notice->accepted_at);
        dispatch_notice(*notice, due, shards_[index].get());
      }
    };
    shards_.push_back(std::make_unique<queue::Shard>(
        queue::Shard::Ports{ports.spool, ports.clock, ports.loops[index], ports.random(),
                            ports.loops.size(), std::move(dispatch_notices), notices_,
                            [this](std::string octets) { return keep_paged(std::move(octets)); }},
        configuration));
  }
  watchers_ = std::make_unique<TaskGroup>(ports.loops.front());
  suspension_changed_ = std::make_unique<Event>(ports.loops.front());
  suspensions_ = std::make_shared<const queue::Suspensions>(ports.spool.suspensions());
  for (const auto& shard : shards_) shard->suspend(suspensions_);
  delay_watch_ = std::make_unique<queue::DelayWatch>(queue::DelayWatch::Ports{
      ports.spool, ports.clock, shards_.front()->gate(), notices_,
      [this] { return this->settings(); }, [this](LaneKey lane) { return lane_view(lane); },
      [this](const spool::Admit& notice) { dispatch_notice(notice.message, notice.due, nullptr); },
      [this] { return stopping_.load(); }});
}

Task<std::optional<schedule::LaneView>> Queue::Impl::lane_view(LaneKey lane) {
  const std::size_t index = shard_of(lane);
  std::function<std::optional<schedule::LaneView>()> look = [&shard = *shards_[index], lane] {
    return shard.view(lane);
  };
  auto looking = queue::run_on(ports.loops[index], std::move(look));
  co_return co_await std::move(looking);
}

std::size_t Queue::Impl::shard_of(const LaneKey& lane) const {
  return static_cast<std::size_t>(stable_hash(lane.destination) % shards_.size());
}

queue::Shard& Queue::Impl::shard_here(const boost::asio::any_io_executor& executor) {
  for (const auto& shard : shards_) {
    if (shard->loop() == executor) return *shard;
  }
  return *shards_.front();
}

std::shared_ptr<const settings::Settings> Queue::Impl::settings() const {
  const std::lock_guard lock(settings_mutex_);
  return settings_;
}

QueueId Queue::Impl::new_id() {
  const std::lock_guard lock(id_mutex_);
  return ids_.next(ports.clock.now());
}

// ---- accepting --------------------------------------------------------------------------------

bool Queue::Impl::accepting(std::string* reason) const {
  const auto refuse = [reason](std::string why) {
    if (reason != nullptr) *reason = std::move(why);
    return false;
  };
  if (stopping_) return refuse("stopping");
  if (auto why = draining()) return refuse(std::move(*why));
  switch (ports.spool.health()) {
    case spool::Health::ok:
      return true;
    case spool::Health::reserve:
      return refuse("free space is below the reserve");
    case spool::Health::latched:
      return refuse("the spool failed and takes nothing more");
  }
  return refuse("unknown state of the spool");
}

Message Queue::Impl::message_from(Submission submission) const {
  const auto current = settings();
  Message message;
  message.id = submission.id;
  message.accepted_at = ports.clock.now();
  message.expires_at = message.accepted_at + current->retry.lifetime;
  message.tenant = std::move(submission.tenant);
  message.campaign = std::move(submission.campaign);
  message.klass = submission.klass;
  message.content = std::move(submission.content);
  const Address& reverse_path = submission.envelope.reverse_path;
  for (const Recipient& recipient : submission.envelope.recipients) {
    std::string destination = destination_of(recipient.address, current->server.hostname);
    std::string binding = settings::binding_for(*current, destination, reverse_path);
    message.lanes.push_back({std::move(destination), std::move(binding)});
  }
  message.envelope = std::move(submission.envelope);
  return message;
}

/// Content stays in memory for the first attempt while the budget lasts; otherwise it is read back.
void Queue::Impl::keep_in_memory(Message& message) {
  if (!message.content.octets) return;
  message.content.octets = queue::within_budget(memory, std::move(message.content.octets));
}

/// Content that comes along with a page from disk, while that leaves room for new mail.
std::shared_ptr<const std::string> Queue::Impl::keep_paged(std::string octets) {
  if (memory->used.load(std::memory_order_relaxed) > memory->limit.load() / 4) return nullptr;
  return queue::within_budget(memory, std::make_shared<const std::string>(std::move(octets)));
}

/// Why it cannot be taken; `committed` as the status: it can.
Admitted Queue::Impl::refusal_of(const Submission& submission) const {
  Admitted refusal;
  refusal.id = submission.id;
  refusal.status = spool::Status::committed;
  if (!accepting(&refusal.detail)) {
    refusal.status = ports.spool.health() == spool::Health::latched ? spool::Status::unknown
                                                                    : spool::Status::full;
  } else if (submission.envelope.recipients.empty()) {
    refusal.status = spool::Status::refused;
    refusal.detail = "no recipients";
  }
  return refusal;
}

/// Sealed content that was not accepted has no other owner.
void Queue::Impl::discard_refused(const Admitted& admitted, const QueueId& sealed) {
  const bool known =
      admitted.status == spool::Status::full || admitted.status == spool::Status::refused;
  if (known && !sealed.is_nil()) ports.spool.discard_content(sealed);
}

Task<Admitted> Queue::Impl::admit(Submission submission) {
  if (submission.id.is_nil()) submission.id = new_id();
  if (submission.content.id.is_nil()) submission.content.id = submission.id;
  const QueueId sealed = submission.content.octets ? QueueId{} : submission.content.id;
  Admitted admitted = refusal_of(submission);
  if (admitted.status != spool::Status::committed) {
    discard_refused(admitted, sealed);
    co_return admitted;
  }
  auto operation = std::make_unique<spool::Operation>(spool::Admit{});
  auto* admit = std::get_if<spool::Admit>(operation.get());
  admit->message = message_from(std::move(submission));
  admit->due.assign(admit->message.lanes.size(), admit->message.accepted_at);
  queue::Shard& here = shard_here(co_await boost::asio::this_coro::executor);
  auto performing = here.gate().perform(std::move(operation));
  spool::Answer answer = co_await std::move(performing);
  admitted.status = answer.status;
  admitted.detail = std::move(answer.detail);
  if (admitted.status == spool::Status::committed) {
    admit = &std::get<spool::Admit>(*answer.operation);
    auto message = std::make_shared<Message>(std::move(admit->message));
    if (message->accepted_at - message->id.time() > spool::arrival_max) {
      delay_watch_->arrived_late(message->accepted_at);
    }
    keep_in_memory(*message);
    dispatch(message, admit->due, &here);
  }
  discard_refused(admitted, sealed);
  co_return admitted;
}

/// A notice of ours was committed; its octets count like those of other mail.
void Queue::Impl::dispatch_notice(Message notice, const std::vector<Time>& due,
                                  const queue::Shard* here) {
  auto message = std::make_shared<Message>(std::move(notice));
  keep_in_memory(*message);
  dispatch(message, due, here);
}

/// Hands a committed message to the lanes of its recipients. `here`: the shard whose loop this runs
/// on.
void Queue::Impl::dispatch(const std::shared_ptr<const Message>& message,
                           const std::vector<Time>& due, const queue::Shard* here) {
  std::vector<std::vector<queue::NewEntry>> by_shard(shards_.size());
  for (queue::NewEntry& entry : queue::entries_of(message, due)) {
    by_shard[shard_of(entry.flow.lane)].push_back(std::move(entry));
  }
  for (std::size_t index = 0; index < shards_.size(); ++index) {
    std::vector<queue::NewEntry>& entries = by_shard[index];
    if (entries.empty()) continue;
    queue::Shard& shard = *shards_[index];
    if (&shard == here && here->loop() == ports.loops[index]) {
      boost::asio::dispatch(shard.loop(), [&shard, entries = std::move(entries)]() mutable {
        shard.add(std::move(entries));
      });
    } else {
      boost::asio::post(shard.loop(), [&shard, entries = std::move(entries)]() mutable {
        shard.add(std::move(entries));
      });
    }
  }
}

// ---- start, reload, stop ----------------------------------------------------------------------

void Queue::Impl::start() {
  recover_in_doubt();
  load_flows();
  boost::asio::post(ports.loops.front(), [this] {
    auto watching = watch_lifetimes();
    watchers_->spawn("lifetimes", std::move(watching));
    auto ending = watch_suspensions();
    watchers_->spawn("suspensions", std::move(ending));
    auto telling = delay_watch_->run();
    watchers_->spawn("delays", std::move(telling));
  });
}

/// Tells every shard which flows have mail on disk, and when it is due. Page by page, and nothing
/// of a shard runs before: a million flows take no other memory than what a lane that sleeps takes.
void Queue::Impl::load_flows() {
  const Time now = ports.clock.now();
  Duration wait = Duration::zero();
  std::string resume;
  do {
    std::promise<Result<spool::FlowPage>> promise;
    ports.spool.flows(resume, page_size, [&promise](Result<spool::FlowPage> page) {
      promise.set_value(std::move(page));
    });
    Result<spool::FlowPage> page = promise.get_future().get();
    if (!page) {
      throw std::runtime_error("the spool's lanes cannot be read: " + page.error().message());
    }
    for (const spool::FlowSummary& flow : page->flows) {
      Time wake = flow.earliest;
      if (wake <= now) {
        wake = now + wait;
        wait = std::min(wait + spread_step, spread_max);
      }
      shards_[shard_of(flow.flow.lane)]->remember(flow.flow, {wake, {}});
    }
    resume = page->resume;
  } while (!resume.empty());
  for (const auto& shard : shards_) {
    boost::asio::post(shard->loop(), [&shard = *shard] { shard.on_disk({}); });
  }
}

/// Transactions whose final dot may have been sent before a crash: resent, or held for a decision.
void Queue::Impl::recover_in_doubt() {
  const bool hold = settings()->retry.in_doubt == "hold";

  struct Sink final : spool::CompletionSink {
    void completed(std::vector<spool::Answer> answers) override {
      const std::lock_guard lock(mutex);
      done += answers.size();
      if (done == expected) finished.set_value();
    }

    std::mutex mutex;
    std::size_t done = 0, expected = 0;
    std::promise<void> finished;
  } sink;

  std::vector<spool::Request> requests;
  for (const spool::InDoubt& doubt : ports.spool.take_in_doubt()) {
    log::warning("in_doubt")
        .field("id", doubt.id.to_string())
        .field("recipients", doubt.recipients.size())
        .field("action", hold ? "hold" : "resend");
    spool::Change change;
    change.id = doubt.id;
    change.verb = spool::Verb::mark_in_doubt;
    change.recipients = doubt.recipients;
    change.at = ports.clock.now();
    change.reason = "the process ended between the final dot and the recorded outcome";
    change.actor = "engine";
    requests.push_back({requests.size(), change});
    if (hold) continue;
    // Both in the history: what is sent again may arrive twice, and somebody will ask.
    change.verb = spool::Verb::release;
    change.due = change.at;
    change.reason = "sent again, as retry.in_doubt says: it may arrive twice";
    requests.push_back({requests.size(), std::move(change)});
  }
  if (requests.empty()) return;
  sink.expected = requests.size();
  auto finished = sink.finished.get_future();
  ports.spool.submit(std::move(requests), sink);
  finished.wait();
  const std::lock_guard last_one_out(sink.mutex);  // completed() may still hold it
}

void Queue::Impl::reload(std::shared_ptr<const settings::Settings> settings,
                         queue::Channels channels) {
  {
    const std::lock_guard lock(settings_mutex_);
    settings_ = settings;
  }
  memory->limit = settings->limits.memory;
  const queue::Configuration configuration{std::move(settings), std::move(channels)};
  for (const auto& shard : shards_) {
    boost::asio::post(shard->loop(),
                      [&shard = *shard, configuration] { shard.configure(configuration); });
  }
  boost::asio::post(ports.loops.front(), [this] { delay_watch_->settings_changed(); });
}

Task<void> Queue::Impl::stop(SteadyTime deadline) {
  stopping_ = true;
  // All shards begin before the first is waited for, so that one deadline holds for all.
  for (const auto& shard : shards_) {
    std::function<bool()> begin = [&shard = *shard, deadline] {
      shard.begin_stop(deadline);
      return true;
    };
    auto beginning = queue::run_on(shard->loop(), std::move(begin));
    co_await std::move(beginning);
  }
  for (const auto& shard : shards_) {
    auto ending = shard->wait_stopped();
    auto waiting =
        boost::asio::co_spawn(shard->loop(), std::move(ending), boost::asio::use_awaitable);
    co_await std::move(waiting);
  }
  auto ending = end_watchers();
  auto waiting =
      boost::asio::co_spawn(ports.loops.front(), std::move(ending), boost::asio::use_awaitable);
  co_await std::move(waiting);
}

Task<void> Queue::Impl::end_watchers() {
  watchers_->cancel();
  auto waiting = watchers_->wait();
  co_await std::move(waiting);
}

// ---- the public face --------------------------------------------------------------------------

Queue::Queue(Ports ports, std::shared_ptr<const settings::Settings> settings)
    : impl_(std::make_unique<Impl>(std::move(ports), std::move(settings))) {}

Queue::~Queue() = default;

void Queue::start() { impl_->start(); }

Task<void> Queue::stop(SteadyTime deadline) { return impl_->stop(deadline); }

void Queue::reload(std::shared_ptr<const settings::Settings> settings,
                   std::map<std::string, std::shared_ptr<delivery::Channel>> channels) {
  impl_->reload(std::move(settings), std::move(channels));
}

std::shared_ptr<const settings::Settings> Queue::settings() const { return impl_->settings(); }

QueueId Queue::new_id() { return impl_->new_id(); }

std::unique_ptr<spool::ContentWriter> Queue::open_content(const QueueId& content_id) {
  return impl_->ports.spool.open_content(content_id);
}

Task<Admitted> Queue::admit(Submission submission) { return impl_->admit(std::move(submission)); }

bool Queue::accepting(std::string* reason) const { return impl_->accepting(reason); }

bool Queue::reserve_memory(std::uint64_t octets) { return impl_->memory->reserve(octets); }

void Queue::release_memory(std::uint64_t octets) { impl_->memory->release(octets); }

Task<Result<QueueListPage>> Queue::list(QueueSelector selector, std::string resume,
                                        std::size_t limit) {
  return impl_->list(std::move(selector), std::move(resume), limit);
}

Task<Result<spool::StoredMessagePtr>> Queue::get(QueueId id) { return impl_->get(id); }

Task<Result<std::string>> Queue::content(QueueId id, std::uint64_t offset, std::uint64_t length) {
  return impl_->read<std::string>([this, id, offset, length](spool::Done<std::string> done) {
    impl_->ports.spool.read_content(id, offset, length, std::move(done));
  });
}

Task<Result<std::vector<spool::HistoryEntry>>> Queue::history(QueueId id) {
  using Entries = std::vector<spool::HistoryEntry>;
  return impl_->read<Entries>(
      [this, id](spool::Done<Entries> done) { impl_->ports.spool.history(id, std::move(done)); });
}

Task<Result<std::vector<Wait>>> Queue::why(QueueId id) { return impl_->why(id); }

Task<BulkResult> Queue::apply(spool::Verb verb, QueueSelector selector, std::string reason,
                              std::string actor, bool dry_run) {
  return apply(verb, std::move(selector), std::move(reason), std::move(actor), dry_run, nullptr);
}

Task<BulkResult> Queue::apply(spool::Verb verb, QueueSelector selector, std::string reason,
                              std::string actor, bool dry_run,
                              std::shared_ptr<BulkProgress> progress) {
  return impl_->apply(verb, std::move(selector), std::move(reason), std::move(actor), dry_run,
                      std::move(progress));
}

std::vector<spool::TenantTotals> Queue::tenant_totals() const {
  return impl_->ports.spool.totals();
}

spool::Totals Queue::totals() const {
  spool::Totals all;
  for (const spool::TenantTotals& tenant : tenant_totals()) all += tenant.totals;
  return all;
}

Task<QueueStatistics> Queue::statistics() { return impl_->statistics(); }

spool::Spool& Queue::spool() { return impl_->ports.spool; }

}  // namespace mansio

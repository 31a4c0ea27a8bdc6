#include "queue/shard.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <numeric>
#include <stdexcept>
#include <tuple>
#include <utility>

#include "base/assert.h"
#include "base/checksum.h"
#include "base/log.h"
#include "message/footprint.h"
#include "queue/await.h"

namespace mansio::queue {
namespace {

/// Of the memory for content, what the windows of all lanes may take: they hold both what the
/// happy path keeps for the first attempt and what was read from disk.
constexpr std::uint64_t window_parts = 3;
constexpr std::uint64_t memory_parts = 16;
/// Sessions of all loops that wait for more work of their lane.
constexpr std::size_t idle_sessions_max = 1000;
/// Below this a window would hardly hold a message.
constexpr std::uint64_t window_octets_min = 1 << 20;

schedule::SchedulerOptions options_of(std::shared_ptr<const settings::Settings> all,
                                      std::shared_ptr<const Suspensions> suspensions,
                                      std::size_t shards) {
  const settings::Settings& settings = *all;
  schedule::SchedulerOptions options;
  const auto share = [shards](std::uint32_t whole) {
    return std::max<std::uint32_t>(1, whole / static_cast<std::uint32_t>(shards));
  };
  const auto& server = settings.server;
  const std::uint32_t reserve =
      std::min(server.connections_out_reserve, server.connections_out_max);
  options.sessions_max = share(server.connections_out_max - reserve);
  options.sessions_reserve = reserve == 0 ? 0 : share(reserve);
  options.tries_max = settings.retry.tries_max;
  options.window_octets =
      std::max(window_octets_min, settings.limits.memory / memory_parts * window_parts / shards);
  options.lane_options = [all, suspensions](const LaneKey& lane) {
    std::uint32_t sessions = *settings::destination_settings(*all, lane.destination).connections;
    if (lane.binding == notices_binding) sessions = std::min(sessions, all->notify.connections);
    return schedule::LaneOptions{sessions, suspensions->stopped_until(lane)};
  };
  return options;
}

Disposition no_channel(const std::string& destination) {
  Disposition disposition;
  disposition.reply = {451, {4, 3, 5}, "no route or channel is configured for " + destination};
  disposition.stage = Stage::route;
  disposition.cause = Cause::policy;
  disposition.counts_as_try = false;
  return disposition;
}

/// The attempt got as far as a transaction: the destination is well, whatever it said of the mail.
bool reached_destination(const std::vector<Disposition>& dispositions) {
  return std::ranges::any_of(dispositions, [](const Disposition& disposition) {
    return disposition.outcome == Outcome::delivered ||
           (disposition.cause == Cause::reply && disposition.stage >= Stage::mail &&
            disposition.stage <= Stage::final_dot && disposition.reply.code != 421);
  });
}

/// What a positive reply of the lane's next hop means: only SMTP passes a message on.
dsn::NextHop next_hop_of(const settings::Settings& settings, const LaneKey& lane) {
  const settings::Route* route = settings::route_for(settings, lane);
  const bool relays =
      route != nullptr && settings::channel_type(settings, route->channel) == "smtp";
  return relays ? dsn::NextHop::relay : dsn::NextHop::final;
}

/// Cheap, since ordinary deliveries pass here: whether somebody may have to be told.
bool may_need_notice(const Message& message, const spool::RecipientOutcome& outcome) {
  const Disposition& disposition = outcome.disposition;
  switch (disposition.outcome) {
    case Outcome::failed:
    case Outcome::expired:
      return true;
    case Outcome::delivered:
      return message.envelope.recipients[outcome.recipient].notify.success &&
             !disposition.peer_has_dsn;
    case Outcome::deferred:
      break;
  }
  return false;
}

/// One line per recipient and outcome, when it is durable.
void log_outcome(const Message& message, const spool::RecipientOutcome& outcome) {
  const Disposition& disposition = outcome.disposition;
  const auto level =
      disposition.outcome == Outcome::delivered || disposition.outcome == Outcome::deferred
          ? log::Level::info
          : log::Level::warning;
  if (!log::enabled(level)) return;
  const Recipient& recipient = message.envelope.recipients[outcome.recipient];
  log::Line line(level, to_text(disposition.outcome));
  auto rest = std::move(line)
                  .field("id", message.id.to_string())
                  .field("recipient", recipient.address.to_string())
                  .field("destination", message.lanes[outcome.recipient].destination)
                  .field("host", disposition.host)
                  .field("address", disposition.address)
                  .field("stage", to_text(disposition.stage))
                  .field("cause", to_text(disposition.cause))
                  .field("code", disposition.reply.code)
                  .field("enhanced", disposition.reply.enhanced.present()
                                         ? disposition.reply.enhanced.to_string()
                                         : std::string())
                  .field("reply", disposition.reply.text);
  if (disposition.outcome == Outcome::deferred) {
    std::move(rest).field("next_due", to_rfc3339(outcome.next_due));
  }
}

}  // namespace

bool MemoryBudget::reserve(std::uint64_t octets) {
  const std::uint64_t before = used.fetch_add(octets, std::memory_order_relaxed);
  if (before + octets <= limit.load(std::memory_order_relaxed)) return true;
  used.fetch_sub(octets, std::memory_order_relaxed);
  return false;
}

std::shared_ptr<const std::string> within_budget(const std::shared_ptr<MemoryBudget>& budget,
                                                 std::shared_ptr<const std::string> octets) {
  const std::uint64_t size = octets->size();
  if (!budget->reserve(size)) return nullptr;
  const std::string* raw = octets.get();
  return {raw, [budget, octets = std::move(octets), size](const std::string*) mutable {
            octets.reset();
            budget->release(size);
          }};
}

schedule::RetryOptions retry_options(const settings::Settings& settings) {
  const settings::Retry& retry = settings.retry;
  return {retry.min,      retry.factor,    retry.max,      retry.jitter,
          retry.lifetime, retry.tries_max, retry.intervals};
}

std::vector<NewEntry> entries_of(std::shared_ptr<const Message> message,
                                 const std::vector<Time>& due) {
  const std::size_t octets = footprint(*message);
  const std::vector<LaneKey>& lanes = message->lanes;
  std::vector<std::uint32_t> by_lane(lanes.size());
  std::iota(by_lane.begin(), by_lane.end(), 0);
  const auto lane_and_due = [&](std::uint32_t i) { return std::tie(lanes[i], due[i]); };
  std::ranges::stable_sort(by_lane, {}, lane_and_due);

  std::vector<NewEntry> entries;
  const std::uint32_t flow = flow_of(*message);
  for (std::size_t at = 0; at < by_lane.size(); ++at) {
    const std::uint32_t i = by_lane[at];
    if (at == 0 || lane_and_due(by_lane[at - 1]) != lane_and_due(i)) {
      NewEntry& added = entries.emplace_back();
      added.flow = {lanes[i], message->klass, flow};
      added.entry.place = {due[i], message->id};
      added.entry.expires_at = message->expires_at;
      added.entry.message = message;
      added.entry.octets = octets;
    }
    entries.back().entry.recipients.push_back({i, 0, 0});
  }
  return entries;
}

// ---- work as a session sees it ----------------------------------------------------------------

/// Recipients of one message on their way; owns the mark that tells of them after a crash.
class Shard::Work final : public delivery::Work {
 public:
  Work(Shard& shard, FlowKey flow, schedule::Entry entry, dsn::NextHop next_hop)
      : shard_(shard),
        flow_(std::move(flow)),
        entry_(std::move(entry)),
        content_(shard, entry_),
        next_hop_(next_hop) {
    message_ = entry_.message;
    for (const auto& recipient : entry_.recipients) recipients_.push_back(recipient.index);
    attempt_ = entry_.recipients.front().tries;
  }

  /// Destroyed without a result (an exception, a cancelled session): still settled, never
  /// forgotten.
  ~Work() override {
    if (!settled_) shard_.abandoned(*this);
  }

  ContentReader& content() override { return content_; }

  void before_final_dot() override {
    if (mark_) return;
    const bool durable = shard_.configuration_.settings->retry.in_doubt == "hold";
    std::uint32_t tries = 0;
    for (const auto& recipient : entry_.recipients) tries = std::max(tries, recipient.tries);
    mark_ = shard_.ports_.spool.mark_attempt(entry_.place.id, recipients_, tries + 1, durable);
    if (durable && !mark_) throw std::runtime_error("the attempt could not be marked on disk");
  }

  const FlowKey& flow() const { return flow_; }

  schedule::Entry& entry() { return entry_; }

  dsn::NextHop next_hop() const { return next_hop_; }

  bool dot_sent() const { return mark_ != nullptr; }

  std::shared_ptr<spool::AttemptMark> take_mark() { return std::move(mark_); }

  void mark_settled() { settled_ = true; }

 private:
  class Content final : public ContentReader {
   public:
    Content(Shard& shard, const schedule::Entry& entry) : shard_(shard), entry_(entry) {}

    std::shared_ptr<const std::string> in_memory() const override {
      return entry_.message->content.octets;
    }

    Task<Result<std::string>> read(std::uint64_t offset, std::uint64_t length) override {
      if (const auto octets = in_memory()) {
        if (offset >= octets->size()) co_return std::string();
        co_return octets->substr(offset, length);
      }
      const QueueId id = entry_.place.id;
      spool::Spool& spool = shard_.ports_.spool;
      std::function<void(std::function<void(Result<std::string>)>)> start =
          [&spool, id, offset, length](std::function<void(Result<std::string>)> done) {
            spool.read_content(id, offset, length, std::move(done));
          };
      auto waiting = answer_of<Result<std::string>>(std::move(start));
      Result<std::string> piece = co_await std::move(waiting);
      if (piece && !matches(offset, *piece)) {
        shard_.quarantine(id);
        co_return make_error_code(spool::Errc::corrupt);
      }
      co_return piece;
    }

   private:
    /// Content that is read in pieces is checked when the last one arrives: a wrong checksum keeps
    /// the final dot from being sent.
    bool matches(std::uint64_t offset, const std::string& piece) {
      const ContentFacts& facts = entry_.message->content.facts;
      if (offset == 0) {
        checksum_ = 0;
        checked_ = 0;
      }
      if (offset != checked_) return true;  // not in order: whoever reads so checks for himself
      checksum_ = crc32c(piece, checksum_);
      checked_ += piece.size();
      return checked_ < facts.size || checksum_ == facts.checksum;
    }

    Shard& shard_;
    const schedule::Entry& entry_;
    std::uint32_t checksum_ = 0;
    std::uint64_t checked_ = 0;
  };

  Shard& shard_;
  FlowKey flow_;
  schedule::Entry entry_;
  Content content_;
  dsn::NextHop next_hop_;
  std::shared_ptr<spool::AttemptMark> mark_;
  bool settled_ = false;
};

/// A place among the sessions that wait for work of their lane. There are not many: behind a
/// million lanes of one message each they would take all memory and all of the budget of sessions.
/// For a new one the one that has waited longest ends.
class Shard::Idle {
 public:
  Idle(Shard& shard, const LaneKey& lane, Event& event)
      : shard_(shard), event_(event), place_(shard.idle_.emplace(lane, &event)) {
    auto& line = shard_.idle_line_;
    if (line.size() >= std::max<std::size_t>(1, idle_sessions_max / shard_.ports_.shards)) {
      line.front()->end();
    }
    turn_ = line.insert(line.end(), this);
  }

  ~Idle() {
    if (!ended_) shard_.idle_line_.erase(turn_);
    shard_.idle_.erase(place_);
  }

  Idle(const Idle&) = delete;
  Idle& operator=(const Idle&) = delete;

  /// Another session needs the place.
  bool ended() const { return ended_; }

 private:
  void end() {
    ended_ = true;
    shard_.idle_line_.erase(turn_);
    event_.notify_all();
  }

  Shard& shard_;
  Event& event_;
  std::multimap<LaneKey, Event*>::iterator place_;
  std::list<Idle*>::iterator turn_;
  bool ended_ = false;
};

/// A lane, as one of its sessions sees it.
class Shard::Source final : public delivery::WorkSource {
 public:
  Source(Shard& shard, LaneKey lane, std::uint32_t messages_max, std::uint32_t recipients_max)
      : shard_(shard),
        lane_(std::move(lane)),
        messages_max_(messages_max),
        recipients_max_(recipients_max),
        generation_(shard_.generation_),
        next_hop_(next_hop_of(*shard_.configuration_.settings, lane_)) {}

  std::unique_ptr<delivery::Work> next() override {
    if (shard_.stopping_ || shard_.latched_ || !may_go_on()) return nullptr;
    auto taken = shard_.scheduler_.take(lane_, recipients_max_, shard_.now());
    shard_.pump();
    if (!taken) return nullptr;
    ++messages_;
    return std::make_unique<Work>(shard_, std::move(taken->first), std::move(taken->second),
                                  next_hop_);
  }

  Task<bool> wait(Duration at_most) override {
    if (!may_go_on()) co_return false;
    const SteadyTime until = shard_.ports_.clock.steady_now() + at_most;
    Event woken(shard_.ports_.loop);
    Idle idle(shard_, lane_, woken);
    const auto timer = shard_.ports_.clock.make_timer(shard_.ports_.loop);
    timer->start(until, [&woken] { woken.notify_all(); });
    while (!shard_.stopping_ && may_go_on() && !idle.ended() && !shard_.is_suspended(lane_)) {
      if (shard_.scheduler_.has_work(lane_, shard_.now())) co_return true;
      if (shard_.ports_.clock.steady_now() >= until) co_return false;
      co_await woken.wait();
    }
    co_return false;
  }

  void finished(std::unique_ptr<delivery::Work> work,
                std::vector<Disposition> dispositions) override {
    shard_.finish(*own(std::move(work)), std::move(dispositions));
  }

  void put_back(std::unique_ptr<delivery::Work> work) override {
    --messages_;
    shard_.put_back(*own(std::move(work)));
  }

 private:
  bool may_go_on() const {
    return generation_ == shard_.generation_ && (messages_max_ == 0 || messages_ < messages_max_);
  }

  static std::unique_ptr<Work> own(std::unique_ptr<delivery::Work> work) {
    return std::unique_ptr<Work>(static_cast<Work*>(work.release()));
  }

  Shard& shard_;
  LaneKey lane_;
  std::uint32_t messages_max_;
  std::uint32_t recipients_max_;
  std::uint64_t generation_;
  dsn::NextHop next_hop_;
  std::uint32_t messages_ = 0;
};

/// An attempt whose outcome is on its way to the spool.
struct Shard::Attempt {
  FlowKey flow;
  schedule::Entry entry;
  std::vector<spool::RecipientOutcome> outcomes;
  std::vector<spool::Admit> notices;
  std::shared_ptr<spool::AttemptMark> mark;  ///< cleared when the outcome is committed
  std::vector<std::uint32_t> in_doubt;       ///< to be kept from resending
  bool plain_notices = false;  ///< without content of the original: with it they did not fit
  dsn::NextHop next_hop = dsn::NextHop::relay;
  /// When each of `outcomes` was last tried, for what was given up without another try; empty: now.
  std::vector<Time> last_attempts{};
};

// ---- construction and settings ----------------------------------------------------------------

Shard::Shard(Ports ports, Configuration configuration)
    : ports_(std::move(ports)),
      configuration_(std::move(configuration)),
      retry_(retry_options(*configuration_.settings)),
      scheduler_(scheduler_options()),
      gate_(ports_.spool, ports_.loop),
      timer_(ports_.clock.make_timer(ports_.loop)),
      sessions_(ports_.loop),
      settlements_(ports_.loop) {}

Shard::~Shard() = default;

void Shard::configure(Configuration configuration) {
  configuration_ = std::move(configuration);
  retry_ = schedule::RetrySchedule(retry_options(*configuration_.settings));
  scheduler_.set_options(scheduler_options(), now());
  // Sessions of the old one take nothing more: route, TLS and limits may have changed.
  ++generation_;
  wake_all();
  pump();
}

schedule::SchedulerOptions Shard::scheduler_options() const {
  return options_of(configuration_.settings, suspensions_, ports_.shards);
}

void Shard::suspend(std::shared_ptr<const Suspensions> suspensions) {
  suspensions_ = std::move(suspensions);
  scheduler_.set_options(scheduler_options(), now());
  wake_all();
  pump();
}

bool Shard::is_suspended(const LaneKey& lane) const {
  return suspensions_->stopped_until(lane) > now();
}

// ---- work appears -----------------------------------------------------------------------------

void Shard::add(std::vector<NewEntry> entries) {
  const Time time = now();
  for (NewEntry& added : entries) {
    scheduler_.add(added.flow, std::move(added.entry), time);
    wake(added.flow.lane);
  }
  pump();
}

/// Sessions of the lane that keep their connection for reuse look for work.
void Shard::wake(const LaneKey& lane) {
  const auto [begin, end] = idle_.equal_range(lane);
  for (auto waiting = begin; waiting != end; ++waiting) waiting->second->notify_all();
}

void Shard::wake_all() {
  for (const auto& [lane, waiting] : idle_) waiting->notify_all();
}

void Shard::remember(const FlowKey& flow, DueCursor place) {
  scheduler_.on_disk(flow, place, now());
}

void Shard::on_disk(const std::vector<std::pair<FlowKey, DueCursor>>& places) {
  const Time time = now();
  for (const auto& [flow, place] : places) scheduler_.on_disk(flow, place, time);
  pump();
}

void Shard::due_by_order(const std::vector<std::pair<FlowKey, DueCursor>>& places) {
  const Time time = now();
  for (const auto& [flow, place] : places) scheduler_.end_rest(flow.lane, time);
  on_disk(places);
}

std::vector<bool> Shard::block(const std::vector<std::pair<FlowKey, DueCursor>>& places) {
  std::vector<bool> flying;
  for (const auto& [flow, place] : places) {
    flying.push_back(scheduler_.in_flight(flow, place.id));
    if (!flying.back()) scheduler_.block(flow, place);
  }
  return flying;
}

void Shard::unblock(const std::vector<std::pair<FlowKey, DueCursor>>& places) {
  for (const auto& [flow, place] : places) scheduler_.unblock(flow, place.id, now());
  pump();
}

std::optional<schedule::LaneView> Shard::view(const LaneKey& lane) const {
  return scheduler_.view(lane, now());
}

ShardStatistics Shard::statistics() const {
  return {scheduler_.sessions(),
          scheduler_.window_entries(),
          scheduler_.lanes(),
          scheduler_.sleeping_lanes(),
          scheduler_.window_octets(),
          scheduler_.entries_in_flight(),
          deferrals_,
          faults_};
}

// ---- the scheduler's actions ------------------------------------------------------------------

/// Carries out what the scheduler asks for, until it asks for nothing more.
void Shard::pump() {
  if (pumping_) return;
  pumping_ = true;
  for (auto actions = scheduler_.take_actions(); !actions.empty();
       actions = scheduler_.take_actions()) {
    for (schedule::Action& action : actions) {
      std::visit([this](auto& what) { act(std::move(what)); }, action);
    }
  }
  pumping_ = false;
  arm_timer();
}

void Shard::arm_timer() {
  const auto next = stopped_ ? std::nullopt : scheduler_.next_wakeup();
  if (next == timer_for_) return;
  timer_for_ = next;
  if (!next) {
    timer_->cancel();
    return;
  }
  const SteadyTime when = ports_.clock.steady_now() + std::max(*next - now(), Duration::zero());
  timer_->start(when, [this] {
    timer_for_.reset();
    // Nothing enters a window by time alone: sessions that wait for work are woken by pages.
    scheduler_.tick(now());
    pump();
  });
}

void Shard::act(schedule::OpenSession action) {
  auto task = run_session(action.lane);
  if (!sessions_.spawn("session", std::move(task))) scheduler_.session_ended(action.lane, now());
}

void Shard::act(schedule::LoadPage action) {
  const FlowKey flow = action.flow;
  if (stopping_) return;  // nothing is started any more
  ports_.spool.due_page(flow, action.after, action.limit, ports_.keep_content,
                        [this, flow](Result<spool::DuePage> page) {
                          boost::asio::post(ports_.loop,
                                            [this, flow, page = std::move(page)]() mutable {
                                              page_arrived(flow, std::move(page));
                                            });
                        });
}

void Shard::page_arrived(const FlowKey& flow, Result<spool::DuePage> page) {
  if (!page) {
    log::error("page_failed")
        .field("destination", flow.lane.destination)
        .field("error", page.error().message());
    scheduler_.page_failed(flow, now());
  } else {
    std::vector<schedule::Entry> entries;
    entries.reserve(page->entries.size());
    for (const spool::DueEntry& due : page->entries) entries.push_back(entry_from(due));
    scheduler_.page_loaded(flow, std::move(entries), page->end, now());
    wake(flow.lane);
  }
  pump();
}

/// The lanes of a message share what does not change of it.
std::shared_ptr<const Message> Shard::shared_message(const spool::DueEntry& due) {
  constexpr std::size_t sweep_at_least = 1024;
  if (due.message->message.lanes.size() == 1) return {due.message, &due.message->message};
  std::weak_ptr<const Message>& known = messages_[due.id];
  if (auto message = known.lock()) return message;
  auto message = std::shared_ptr<const Message>(due.message, &due.message->message);
  known = message;
  if (messages_.size() > 2 * scheduler_.window_entries() + sweep_at_least) {
    std::erase_if(messages_, [](const auto& entry) { return entry.second.expired(); });
  }
  return message;
}

schedule::Entry Shard::entry_from(const spool::DueEntry& due) {
  schedule::Entry entry;
  entry.place = {due.due, due.id};
  entry.message = shared_message(due);
  entry.expires_at = entry.message->expires_at;
  entry.octets = footprint(*entry.message);
  for (const RecipientStatus& status : due.message->recipients) entry.octets += footprint(status);
  for (const std::uint32_t index : due.recipients) {
    const RecipientStatus& status = due.message->recipients[index];
    entry.recipients.push_back({index, status.tries, status.retry_count});
  }
  return entry;
}

void Shard::act(schedule::GiveUp action) {
  auto task = give_up(std::move(action));
  settlements_.spawn("give_up", std::move(task));
}

// ---- sessions ---------------------------------------------------------------------------------

Task<void> Shard::run_session(LaneKey lane) {
  const settings::Destination limits =
      settings::destination_settings(*configuration_.settings, lane.destination);
  Source source(*this, lane, *limits.messages_per_connection, *limits.recipients_per_transaction);
  const std::uint64_t successes = scheduler_.successes(lane);
  delivery::SessionReport report;
  std::string failure;
  try {
    auto running = run_channel(lane, source);
    report = co_await std::move(running);
  } catch (const std::exception& error) {
    failure = error.what();
  }
  if (!failure.empty()) {
    Disposition trouble = no_channel(lane.destination);
    trouble.reply = {451, {4, 3, 0}, "internal error: " + failure};
    trouble.cause = Cause::local;
    report.trouble = std::move(trouble);
    ++faults_;
    log::error("session_failed").field("destination", lane.destination).field("error", failure);
  }
  session_over(lane, report, scheduler_.successes(lane) != successes);
}

Task<delivery::SessionReport> Shard::run_channel(const LaneKey& lane, Source& source) {
  const auto configuration = configuration_;  // a reload does not pull it from under the session
  const settings::Route* route = settings::route_for(*configuration.settings, lane);
  delivery::SessionReport report;
  if (route != nullptr && route->channel == "hold") {
    auto holding = hold_due_work(lane);
    co_await std::move(holding);
    co_return report;
  }
  const auto channel =
      route == nullptr ? configuration.channels.end() : configuration.channels.find(route->channel);
  if (channel == configuration.channels.end()) {
    report.trouble = no_channel(lane.destination);
    co_return report;
  }
  const settings::Destination limits =
      settings::destination_settings(*configuration.settings, lane.destination);
  delivery::SessionRequest request;
  request.lane = lane;
  request.binding.ehlo = configuration.settings->server.hostname;
  request.messages_max = *limits.messages_per_connection;
  request.recipients_max = *limits.recipients_per_transaction;
  const auto keep = channel->second;
  auto running = keep->run(std::move(request), source);
  co_return co_await std::move(running);
}

/// The channel `hold`: what is due there waits for an operator.
Task<void> Shard::hold_due_work(LaneKey lane) {
  while (!stopping_) {
    auto taken = scheduler_.take(lane, 0, now());
    if (!taken) break;
    spool::Change change;
    change.id = taken->second.place.id;
    change.verb = spool::Verb::hold;
    for (const auto& recipient : taken->second.recipients)
      change.recipients.push_back(recipient.index);
    change.at = now();
    change.reason = "the route's channel is hold";
    change.actor = "engine";
    spool::Operation operation = std::move(change);
    auto performing = gate_.perform(std::move(operation));
    co_await std::move(performing);
    scheduler_.finished(taken->first, taken->second.place, now());
    pump();
  }
}

/// `others_worked`: a transaction of the lane took place since the session began.
void Shard::session_over(const LaneKey& lane, const delivery::SessionReport& report,
                         bool others_worked) {
  const Time time = now();
  if (report.trouble && others_worked) {
    // One refused connection beside others that work is the destination's limit, not its end.
    scheduler_.lane_saturated(lane, time);
  } else if (report.trouble && !stopping_) {
    const Time until =
        time + retry_.trouble_delay(scheduler_.failures(lane) + 1, ports_.random->unit());
    log::warning("destination_delayed")
        .field("destination", lane.destination)
        .field("binding", lane.binding)
        .field("until", to_rfc3339(until))
        .field("stage", to_text(report.trouble->stage))
        .field("cause", to_text(report.trouble->cause))
        .field("host", report.trouble->host)
        .field("reply", report.trouble->reply.to_string());
    scheduler_.lane_troubled(lane, *report.trouble, until, time);
  }
  scheduler_.session_ended(lane, time);
  pump();
}

// ---- outcomes ---------------------------------------------------------------------------------

/// Stored content that is not what was accepted: kept for people, never sent.
void Shard::quarantine(const QueueId& id) {
  log::error("message_quarantined")
      .field("id", id.to_string())
      .field("reason", "the stored content does not have its checksum");
  spool::Change change;
  change.id = id;
  change.verb = spool::Verb::quarantine;
  change.at = now();
  change.reason = "the stored content does not have its checksum";
  change.actor = "engine";
  gate_.submit(std::move(change), [](const spool::Answer&) {});
}

void Shard::put_back(Work& work) {
  work.mark_settled();
  scheduler_.put_back(work.flow(), std::move(work.entry()), now());
  wake(work.flow().lane);
  pump();
}

/// A session ended without saying what became of its work.
void Shard::abandoned(Work& work) {
  if (!work.dot_sent() && stopping_) {
    put_back(work);
    return;
  }
  std::vector<Disposition> dispositions;
  if (work.dot_sent()) {
    Disposition doubt;
    doubt.reply = {451, {4, 4, 2}, "the session ended between the final dot and its reply"};
    doubt.stage = Stage::final_dot;
    doubt.cause = Cause::local;
    doubt.in_doubt = true;
    doubt.counts_as_try = false;
    dispositions.assign(work.entry().recipients.size(), doubt);
  }
  finish(work, std::move(dispositions));
}

void Shard::finish(Work& work, std::vector<Disposition> dispositions) {
  work.mark_settled();
  if (reached_destination(dispositions)) scheduler_.lane_recovered(work.flow().lane, now());
  auto attempt = std::make_shared<Attempt>();
  attempt->flow = work.flow();
  attempt->entry = std::move(work.entry());
  attempt->mark = work.take_mark();
  attempt->next_hop = work.next_hop();
  const bool hold_doubt = configuration_.settings->retry.in_doubt == "hold";
  for (std::size_t i = 0; i < dispositions.size() && i < attempt->entry.recipients.size(); ++i) {
    if (dispositions[i].in_doubt && hold_doubt && dispositions[i].outcome == Outcome::deferred) {
      attempt->in_doubt.push_back(attempt->entry.recipients[i].index);
    }
  }
  Settlement settlement = settle_attempt(attempt->entry, std::move(dispositions), retry_, now(),
                                         ports_.random->unit(), hold_doubt);
  faults_ += settlement.faults;
  attempt->outcomes = std::move(settlement.outcomes);
  deferrals_ += static_cast<std::uint64_t>(
      std::ranges::count_if(attempt->outcomes, [](const spool::RecipientOutcome& each) {
        return each.disposition.outcome == Outcome::deferred;
      }));
  const Message& message = *attempt->entry.message;
  const bool notices = std::ranges::any_of(
      attempt->outcomes, [&message](const auto& each) { return may_need_notice(message, each); });
  if (!notices) {
    submit(std::move(attempt));
    return;
  }
  auto task = settle_with_notices(std::move(attempt));
  const bool spawned = settlements_.spawn("settle", std::move(task));
  MANSIO_ASSERT(spawned);
}

Task<void> Shard::settle_with_notices(std::shared_ptr<Attempt> attempt) {
  std::vector<dsn::ReportedRecipient> reported;
  const Time time = now();
  for (std::size_t i = 0; i < attempt->outcomes.size(); ++i) {
    const spool::RecipientOutcome& outcome = attempt->outcomes[i];
    if (!may_need_notice(*attempt->entry.message, outcome)) continue;
    const Disposition& disposition = outcome.disposition;
    dsn::ReportedRecipient one;
    one.index = outcome.recipient;
    one.disposition = disposition;
    one.tries = attempt->entry.recipients[i].tries + (disposition.counts_as_try ? 1 : 0);
    if (!attempt->last_attempts.empty()) {
      one.last_attempt = attempt->last_attempts[i];
    } else {
      one.last_attempt = time;
      one.attempts.push_back({time, disposition.host, disposition.address, disposition.reply});
    }
    reported.push_back(std::move(one));
  }
  const auto content =
      attempt->plain_notices ? NoticeMaker::Content::none : NoticeMaker::Content::as_set;
  auto making = ports_.notices.make(attempt->entry.message, std::move(reported), attempt->next_hop,
                                    configuration_.settings, content);
  attempt->notices = co_await std::move(making);
  submit(std::move(attempt));
}

/// The end without another attempt: the last reply decides, so it is looked up first.
Task<void> Shard::give_up(schedule::GiveUp action) {
  const QueueId id = action.entry.place.id;
  spool::Spool& spool = ports_.spool;
  using Stored = Result<std::vector<spool::StoredMessagePtr>>;
  std::function<void(std::function<void(Stored)>)> start =
      [&spool, id](std::function<void(Stored)> done) { spool.get({id}, std::move(done)); };
  auto waiting = answer_of<Stored>(std::move(start));
  const Stored stored = co_await std::move(waiting);

  auto attempt = std::make_shared<Attempt>();
  attempt->flow = action.flow;
  attempt->entry = std::move(action.entry);
  const auto view = scheduler_.view(action.flow.lane, now());
  for (const auto& recipient : attempt->entry.recipients) {
    Disposition last;
    Time last_attempt{};
    if (stored && !stored->empty()) {
      last = stored->front()->recipients[recipient.index].last;
      last_attempt = stored->front()->recipients[recipient.index].last_attempt;
    }
    attempt->last_attempts.push_back(last_attempt);
    // Never tried itself: what keeps its destination from working is the reason.
    if (last.reply.code == 0 && last.reply.text.empty() && view && view->failures > 0) {
      last = view->trouble;
    }
    spool::RecipientOutcome outcome;
    outcome.recipient = recipient.index;
    outcome.disposition = queue::give_up(std::move(last), action.cause);
    attempt->outcomes.push_back(std::move(outcome));
  }
  auto settling = settle_with_notices(std::move(attempt));
  co_await std::move(settling);
}

void Shard::submit(std::shared_ptr<Attempt> attempt) {
  spool::Settle settle;
  settle.id = attempt->entry.place.id;
  settle.at = now();
  settle.outcomes = std::move(attempt->outcomes);  // they come back with the answer
  settle.notices = std::move(attempt->notices);
  if (attempt->in_doubt.empty()) {
    gate_.submit(std::move(settle), [this, attempt](spool::Answer answer) {
      take_back(*attempt, answer);
      answered(attempt, answer);
    });
    return;
  }
  spool::Change change;
  change.id = settle.id;
  change.verb = spool::Verb::mark_in_doubt;
  change.recipients = attempt->in_doubt;
  change.at = settle.at;
  change.reason = "the final dot was sent and no reply came";
  change.actor = "engine";
  // Submitted in one turn, so that one group has both; the outcome's own answer decides.
  const auto outcome = std::make_shared<spool::Answer>();
  gate_.submit(std::move(settle), [attempt, outcome](spool::Answer answer) {
    take_back(*attempt, answer);
    *outcome = std::move(answer);
  });
  gate_.submit(std::move(change), [this, attempt, outcome](const spool::Answer& answer) {
    answered(attempt, answer.status == spool::Status::unknown ? answer : *outcome);
  });
}

void Shard::take_back(Attempt& attempt, spool::Answer& answer) {
  auto& settle = std::get<spool::Settle>(*answer.operation);
  attempt.outcomes = std::move(settle.outcomes);
  attempt.notices = std::move(settle.notices);
}

void Shard::answered(const std::shared_ptr<Attempt>& attempt, const spool::Answer& answer) {
  switch (answer.status) {
    case spool::Status::committed:
      committed(*attempt);
      return;
    case spool::Status::unknown:
      // The spool is latched: nothing is started that could not be recorded, and the mark of this
      // attempt stays for whoever opens the spool next.
      latched_ = true;
      unresolved_.push_back(attempt);
      scheduler_.stop();
      wake_all();
      return;
    default:
      refused(attempt, answer);
  }
}

void Shard::committed(const Attempt& attempt) {
  const Time time = now();
  for (const auto& outcome : attempt.outcomes) log_outcome(*attempt.entry.message, outcome);
  scheduler_.finished(attempt.flow, attempt.entry.place, time);
  // Deferred recipients come back from disk when they are due: only there is it known whether they
  // were held or quarantined while they were in flight.
  for (const auto& outcome : attempt.outcomes) {
    if (outcome.disposition.outcome != Outcome::deferred) continue;
    scheduler_.on_disk(attempt.flow, {outcome.next_due, attempt.entry.place.id}, time);
  }
  std::vector<std::shared_ptr<const Message>> notices;
  for (const spool::Admit& notice : attempt.notices) {
    notices.push_back(std::make_shared<const Message>(notice.message));
  }
  if (!notices.empty()) ports_.dispatch(std::move(notices));
  pump();
}

/// An outcome that the spool does not take: a notice that is too large for it, or a recipient that
/// became final another way. Without the notices' returned content it may fit; after that the entry
/// rests before it is looked at again, so that a lasting fault is no loop of deliveries.
void Shard::refused(const std::shared_ptr<Attempt>& attempt, const spool::Answer& answer) {
  ++faults_;
  log::error("settle_refused")
      .field("id", attempt->entry.place.id.to_string())
      .field("status", to_text(answer.status))
      .field("detail", answer.detail);
  if (!attempt->notices.empty() && !attempt->plain_notices) {
    attempt->plain_notices = true;
    auto again = settle_with_notices(attempt);
    if (settlements_.spawn("settle_again", std::move(again))) return;
  }
  auto resting = look_again_later(attempt);
  if (settlements_.spawn("look_again", std::move(resting))) return;
  scheduler_.finished(attempt->flow, attempt->entry.place, now());
}

Task<void> Shard::look_again_later(std::shared_ptr<Attempt> attempt) {
  const SteadyTime until = ports_.clock.steady_now() + retry_.trouble_delay(1, 0.5);
  while (!stopping_ && ports_.clock.steady_now() < until) {
    const Duration left = until - ports_.clock.steady_now();
    auto sleeping = sleep_for(ports_.clock, std::min<Duration>(left, std::chrono::seconds(1)));
    co_await std::move(sleeping);
  }
  const Time time = now();
  scheduler_.finished(attempt->flow, attempt->entry.place, time);
  scheduler_.on_disk(attempt->flow, attempt->entry.place, time);
  pump();
}

// ---- the end ----------------------------------------------------------------------------------

void Shard::begin_stop(SteadyTime deadline) {
  stopping_ = true;
  scheduler_.stop();
  sessions_.close();
  stop_timer_ = ports_.clock.make_timer(ports_.loop);
  stop_timer_->start(deadline, [this] { sessions_.cancel(); });
  wake_all();
}

Task<void> Shard::wait_stopped() {
  MANSIO_ASSERT(stopping_);
  auto sessions_end = sessions_.wait();
  co_await std::move(sessions_end);
  stop_timer_->cancel();
  auto settlements_end = settlements_.wait();
  co_await std::move(settlements_end);
  settlements_.close();
  auto idle = gate_.idle();
  co_await std::move(idle);
  stopped_ = true;
  timer_->cancel();
}

}  // namespace mansio::queue

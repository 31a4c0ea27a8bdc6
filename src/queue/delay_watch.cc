#include "queue/delay_watch.h"

#include <algorithm>
#include <boost/asio/error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/system/system_error.hpp>
#include <utility>

#include "base/log.h"
#include "queue/await.h"

namespace mansio::queue {
namespace {

/// Messages per step: bounds the notices that are in memory at a time.
constexpr std::size_t page_size = 200;

/// How often it is looked: a small part of the shortest age.
Duration interval_of(const std::vector<Duration>& ages) {
  constexpr Duration longest = std::chrono::minutes(10);
  if (ages.empty()) return longest;
  return std::clamp<Duration>(ages.front() / 24, std::chrono::seconds(1), longest);
}

/// Whether the recipient waits for its destination and not for an operator.
bool waits(const RecipientStatus& status) {
  return status.state == RecipientState::queued || status.state == RecipientState::in_doubt;
}

}  // namespace

void DelayWatch::arrived_late(Time accepted_at) {
  const std::lock_guard lock(late_mutex_);
  late_.insert(std::chrono::floor<std::chrono::minutes>(accepted_at));
}

/// What has passed all ages is found by no walk any more.
void DelayWatch::forget_late_ones() {
  Time from = ports_.clock.now();
  for (const Duration age : ages_) {
    const auto cursor = cursors_.find(age);
    from = std::min(from, cursor == cursors_.end() ? Time{} : cursor->second);
  }
  const std::lock_guard lock(late_mutex_);
  late_.erase(late_.begin(), late_.lower_bound(std::chrono::floor<std::chrono::minutes>(from)));
}

bool DelayWatch::any_late(Time from, Time until) {
  const std::lock_guard lock(late_mutex_);
  const auto first = late_.lower_bound(std::chrono::floor<std::chrono::minutes>(from));
  return first != late_.end() && *first < until;
}

void DelayWatch::take_ages(const settings::Notify& notify) {
  ages_ = notify.delay;
  std::sort(ages_.begin(), ages_.end());
  ages_.erase(std::unique(ages_.begin(), ages_.end()), ages_.end());
  std::erase_if(cursors_, [this](const auto& cursor) {
    return std::find(ages_.begin(), ages_.end(), cursor.first) == ages_.end();
  });
}

Task<void> DelayWatch::run() {
  while (!ports_.stopping()) {
    take_ages(ports_.settings()->notify);
    auto waiting = wait_for_the_next_pass();
    co_await std::move(waiting);
    const SettingsPtr settings = ports_.settings();
    take_ages(settings->notify);
    forget_late_ones();
    for (std::size_t age = 0; age < ages_.size() && !ports_.stopping(); ++age) {
      auto walking = walk(settings, age);
      co_await std::move(walking);
    }
  }
}

void DelayWatch::settings_changed() {
  fresh_settings_ = true;
  if (wake_) wake_->notify_all();
}

Task<void> DelayWatch::wait_for_the_next_pass() {
  const auto executor = co_await boost::asio::this_coro::executor;
  if (!wake_) wake_ = std::make_unique<Event>(executor);
  const auto timer = ports_.clock.make_timer(executor);
  const SteadyTime next = ports_.clock.steady_now() + interval_of(ages_);
  timer->start(next, [this] { wake_->notify_all(); });
  while (!fresh_settings_ && ports_.clock.steady_now() < next) {
    co_await wake_->wait();
    const auto state = co_await boost::asio::this_coro::cancellation_state;
    if (state.cancelled() != boost::asio::cancellation_type::none) {
      throw boost::system::system_error(boost::asio::error::operation_aborted);
    }
  }
  fresh_settings_ = false;
}

/// Looks at the messages that reached ages_[age] since the last time.
Task<void> DelayWatch::walk(SettingsPtr settings, std::size_t age) {
  const Time until = ports_.clock.now() - ages_[age];
  const auto cursor = cursors_.find(ages_[age]);
  spool::Selector selector;
  selector.accepted_before = until;
  Time from{};
  if (cursor != cursors_.end()) {
    from = cursor->second;
    if (until <= from) co_return;
    if (!any_late(from, until)) selector.accepted_since = from;
  }
  std::string resume;
  bool told_all = true;
  do {
    std::function<void(spool::Done<spool::ListPage>)> start =
        [this, &selector, &resume](spool::Done<spool::ListPage> done) {
          ports_.spool.list(selector, resume, page_size, std::move(done));
        };
    auto reading = answer_of<Result<spool::ListPage>>(std::move(start));
    const Result<spool::ListPage> page = co_await std::move(reading);
    if (!page) {
      log::warning("delay_watch_failed").field("error", page.error().message());
      co_return;  // from the same place the next time
    }
    std::vector<spool::Operation> operations;
    for (const spool::StoredMessagePtr& stored : page->messages) {
      if (stored->message.accepted_at < from) continue;
      auto adding = add_changes(settings, age, stored, operations);
      co_await std::move(adding);
    }
    if (ports_.stopping()) co_return;
    auto submitting = submit(std::move(operations));
    const bool told = co_await std::move(submitting);
    told_all = told_all && told;
    resume = page->resume;
  } while (!resume.empty());
  // Whoever was not told is found again from the same place the next time; the others are skipped.
  if (told_all) cursors_[ages_[age]] = until;
}

/// What telling the sender of one message takes; nothing if there is nobody to tell.
Task<void> DelayWatch::add_changes(SettingsPtr settings, std::size_t age,
                                   spool::StoredMessagePtr stored,
                                   std::vector<spool::Operation>& operations) {
  const Message& message = stored->message;
  const Time now = ports_.clock.now();
  const auto told_enough = static_cast<std::uint32_t>(age + 1);
  if (age + 1 < ages_.size() && message.accepted_at + ages_[age + 1] <= now) co_return;
  if (message.expires_at <= now) co_return;  // what comes next is the failure
  std::vector<std::uint32_t> waiting;
  for (std::uint32_t r = 0; r < stored->recipients.size(); ++r) {
    const RecipientStatus& status = stored->recipients[r];
    if (!waits(status) || status.delay_notices >= told_enough) continue;
    const Disposition deferral;
    if (dsn::notice_action(message, r, deferral, dsn::NextHop::relay).action) waiting.push_back(r);
  }
  if (waiting.empty()) co_return;
  if (!settings->notify.delay_bulk) {
    auto looking = is_bulk(message);
    const bool bulk = co_await std::move(looking);
    if (bulk) {
      ports_.notices.suppress(message, "bulk", waiting.size());
      co_return;
    }
  }
  std::vector<dsn::ReportedRecipient> reported;
  for (const std::uint32_t r : waiting) {
    auto reporting = report_of(*stored, r);
    reported.push_back(co_await std::move(reporting));
  }
  auto original = std::shared_ptr<const Message>(stored, &message);
  auto making =
      ports_.notices.make(std::move(original), std::move(reported), dsn::NextHop::relay, settings);
  spool::Change change;
  change.id = message.id;
  change.verb = spool::Verb::report_delay;
  change.recipients = waiting;
  change.at = now;
  change.reason = "its sender is told of the delay";
  change.actor = "engine";
  change.notices = co_await std::move(making);
  operations.push_back(change);
  // Ages that were passed without a notice count as told: none is made up for.
  change.notices.clear();
  change.reason = "an age that passed unseen counts as told";
  for (std::uint32_t told = 1; told < told_enough; ++told) {
    std::erase_if(change.recipients, [&](std::uint32_t r) {
      return stored->recipients[r].delay_notices + told >= told_enough;
    });
    if (change.recipients.empty()) break;
    operations.push_back(change);
  }
}

Task<bool> DelayWatch::is_bulk(const Message& message) {
  spool::Spool& spool = ports_.spool;
  const QueueId id = message.id;
  const std::uint64_t length = message.content.facts.header_size;
  std::function<void(std::function<void(Result<std::string>)>)> start =
      [&spool, id, length](std::function<void(Result<std::string>)> done) {
        spool.read_content(id, 0, length, std::move(done));
      };
  auto reading = answer_of<Result<std::string>>(std::move(start));
  const Result<std::string> header = co_await std::move(reading);
  co_return header&& dsn::is_bulk(*header);
}

/// The last reply; of a recipient that was never tried, what keeps its destination from working.
Task<dsn::ReportedRecipient> DelayWatch::report_of(const spool::StoredMessage& stored,
                                                   std::uint32_t recipient) {
  const RecipientStatus& status = stored.recipients[recipient];
  dsn::ReportedRecipient reported;
  reported.index = recipient;
  reported.tries = status.tries;
  reported.last_attempt = status.last_attempt;
  reported.disposition = status.last;
  if (status.last.reply.code == 0 && status.last.reply.text.empty()) {
    auto looking = ports_.lane_view(stored.message.lanes[recipient]);
    const std::optional<schedule::LaneView> view = co_await std::move(looking);
    if (view && view->failures > 0) reported.disposition = view->trouble;
  }
  reported.disposition.outcome = Outcome::deferred;
  co_return reported;
}

/// False: one was refused, since a recipient that its notice names had its outcome meanwhile. The
/// notice for the others has to be written anew.
Task<bool> DelayWatch::submit(std::vector<spool::Operation> operations) {
  if (operations.empty()) co_return true;
  auto performing = ports_.gate.perform_all(std::move(operations));
  const std::vector<spool::Answer> answers = co_await std::move(performing);
  bool told = true;
  for (const spool::Answer& answer : answers) {
    told = told && answer.status != spool::Status::refused;
    if (answer.status != spool::Status::committed || answer.changed == 0) continue;
    const auto& change = std::get<spool::Change>(*answer.operation);
    for (const spool::Admit& notice : change.notices) ports_.dispatch(notice);
  }
  co_return told;
}

}  // namespace mansio::queue

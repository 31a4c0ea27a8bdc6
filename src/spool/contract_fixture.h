// What the cases of the contract suite share: a spool opened through its backend's factory, and
// blocking forms of its asynchronous functions. For tests only.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "spool/contract_backends.h"

namespace mansio::spool {

/// Keeps answers by tag until somebody waits for them.
class AnswerBook final : public CompletionSink {
 public:
  void completed(std::vector<Answer> answers) override {
    const std::lock_guard lock(mutex_);
    for (Answer& answer : answers) answers_[answer.tag] = std::move(answer);
    changed_.notify_all();
  }

  Answer wait_for(std::uint64_t tag) {
    std::unique_lock lock(mutex_);
    const bool there =
        changed_.wait_for(lock, std::chrono::seconds(60), [&] { return answers_.contains(tag); });
    EXPECT_TRUE(there) << "no answer";
    Answer answer = std::move(answers_[tag]);
    answers_.erase(tag);
    return answer;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::uint64_t, Answer> answers_;
};

/// Waits for the `done` of a read: read<ListPage>([&](auto done) { spool.list(..., done); }).
template <class T, class Start>
Result<T> wait_for_read(Start start) {
  auto promise = std::make_shared<std::promise<Result<T>>>();
  std::future<Result<T>> future = promise->get_future();
  start(Done<T>([promise](Result<T> result) { promise->set_value(std::move(result)); }));
  if (future.wait_for(std::chrono::seconds(60)) != std::future_status::ready) {
    ADD_FAILURE() << "a read was not answered";
    return make_error_code(Errc::io);
  }
  return future.get();
}

class SpoolContract : public testing::TestWithParam<Backend> {
 protected:
  static constexpr std::uint64_t seed = 20260301;

  void SetUp() override {
    backend_ = GetParam().make({.now = [this] { return now(); }});
    spool_ = backend_->open();
  }

  void TearDown() override {
    if (spool_ != nullptr) spool_->stop();
    spool_.reset();
    backend_.reset();
  }

  // Time and life of the spool
  Time now() const { return Time(Duration(now_.load())); }

  void advance(Duration duration) { now_ += duration.count(); }

  Spool& spool() { return *spool_; }

  BackendFactory& backend() { return *backend_; }

  void close_cleanly() {
    spool_->stop();
    spool_.reset();
  }

  void crash() { spool_.reset(); }

  void open() { spool_ = backend_->open(); }

  void restart() {
    close_cleanly();
    open();
  }

  // Operations
  Answer commit(Operation operation) {
    std::vector<Request> requests;
    requests.push_back({next_tag_, std::move(operation)});
    spool_->submit(std::move(requests), answers_);
    return answers_.wait_for(next_tag_++);
  }

  std::vector<Answer> commit_all(std::vector<Operation> operations) {
    std::vector<Request> requests;
    for (Operation& operation : operations) {
      requests.push_back({next_tag_ + requests.size(), std::move(operation)});
    }
    const std::size_t count = requests.size();
    spool_->submit(std::move(requests), answers_);
    std::vector<Answer> result;
    for (std::size_t i = 0; i < count; ++i) result.push_back(answers_.wait_for(next_tag_++));
    return result;
  }

  QueueId new_id() { return ids_.next(now()); }

  /// A message for these recipients ("user@domain"), all due now.
  Admit make_admit(const std::vector<std::string>& recipients, const std::string& body = "hello") {
    Admit admit;
    Message& message = admit.message;
    message.id = new_id();
    message.envelope.reverse_path = {"sender", "example.org"};
    for (const std::string& text : recipients) {
      const std::size_t at = text.find('@');
      Recipient recipient;
      recipient.address = {text.substr(0, at), text.substr(at + 1)};
      recipient.original = recipient.address;
      message.envelope.recipients.push_back(recipient);
      message.lanes.push_back({recipient.address.domain, "default"});
      admit.due.push_back(now());
    }
    set_content(message, "Subject: about " + body + "\r\n\r\n" + body + "\r\n");
    message.accepted_at = now();
    message.expires_at = now() + std::chrono::hours(24 * 5);
    return admit;
  }

  void set_content(Message& message, std::string octets) {
    ContentScanner scanner;
    scanner.feed(octets);
    message.content.id = new_id();
    message.content.facts = scanner.finish();
    message.content.octets = std::make_shared<const std::string>(std::move(octets));
  }

  /// Admits it and expects that it is taken.
  QueueId admit(const Admit& admit) {
    const Answer answer = commit(admit);
    EXPECT_EQ(answer.status, Status::committed) << answer.detail;
    return admit.message.id;
  }

  QueueId admit_for(const std::vector<std::string>& recipients) {
    return admit(make_admit(recipients));
  }

  static RecipientOutcome outcome(std::uint32_t recipient, Outcome what, Time next_due = {},
                                  std::uint16_t code = 0) {
    RecipientOutcome result;
    result.recipient = recipient;
    result.disposition.outcome = what;
    result.disposition.reply.code = code != 0                    ? code
                                    : what == Outcome::delivered ? std::uint16_t{250}
                                    : what == Outcome::deferred  ? std::uint16_t{451}
                                                                 : std::uint16_t{550};
    result.disposition.reply.text = "reply " + std::to_string(result.disposition.reply.code);
    result.disposition.stage = Stage::final_dot;
    result.disposition.host = "mx.example";
    result.next_due = next_due;
    return result;
  }

  Settle make_settle(const QueueId& id, std::vector<RecipientOutcome> outcomes) {
    Settle settle;
    settle.id = id;
    settle.at = now();
    settle.outcomes = std::move(outcomes);
    return settle;
  }

  Answer settle(const QueueId& id, std::vector<RecipientOutcome> outcomes) {
    return commit(make_settle(id, std::move(outcomes)));
  }

  Change make_change(const QueueId& id, Verb verb, std::vector<std::uint32_t> recipients = {}) {
    Change change;
    change.id = id;
    change.verb = verb;
    change.recipients = std::move(recipients);
    change.at = now();
    change.due = now();
    change.disposition.reply.code = 550;
    change.disposition.cause = Cause::operator_;
    change.reason = "a test";
    change.actor = "operator root";
    return change;
  }

  Answer change(const QueueId& id, Verb verb, std::vector<std::uint32_t> recipients = {}) {
    return commit(make_change(id, verb, std::move(recipients)));
  }

  // Reading
  StoredMessagePtr get(const QueueId& id) {
    const std::vector<QueueId> ids{id};
    auto found = wait_for_read<std::vector<StoredMessagePtr>>(
        [&](auto done) { spool_->get(ids, std::move(done)); });
    if (!found || found->size() > 1) {
      ADD_FAILURE() << "get() failed";
      return nullptr;
    }
    return found->empty() ? nullptr : found->front();
  }

  RecipientStatus status(const QueueId& id, std::size_t recipient) {
    const StoredMessagePtr message = get(id);
    if (message == nullptr || recipient >= message->recipients.size()) {
      ADD_FAILURE() << "no such recipient";
      return {};
    }
    return message->recipients[recipient];
  }

  Result<std::string> content(const QueueId& id, std::uint64_t offset = 0,
                              std::uint64_t length = 1ULL << 40) {
    return wait_for_read<std::string>(
        [&](auto done) { spool_->read_content(id, offset, length, std::move(done)); });
  }

  Result<std::vector<HistoryEntry>> history(const QueueId& id) {
    return wait_for_read<std::vector<HistoryEntry>>(
        [&](auto done) { spool_->history(id, std::move(done)); });
  }

  Result<ListPage> list(const Selector& selector, const std::string& resume, std::size_t limit) {
    return wait_for_read<ListPage>(
        [&](auto done) { spool_->list(selector, resume, limit, std::move(done)); });
  }

  /// Every id that the selector finds, page by page.
  std::vector<QueueId> list_ids(const Selector& selector, std::size_t limit = 100) {
    std::vector<QueueId> ids;
    std::string resume;
    do {
      const Result<ListPage> page = list(selector, resume, limit);
      if (!page || page->messages.size() > limit) {
        ADD_FAILURE() << "list() failed";
        return ids;
      }
      for (const StoredMessagePtr& message : page->messages) ids.push_back(message->message.id);
      resume = page->resume;
    } while (!resume.empty());
    return ids;
  }

  std::vector<FlowSummary> flows(std::size_t limit = 100) {
    std::vector<FlowSummary> all;
    std::string resume;
    do {
      Result<FlowPage> page = wait_for_read<FlowPage>(
          [&](auto done) { spool_->flows(resume, limit, std::move(done)); });
      if (!page) {
        ADD_FAILURE() << "flows() failed";
        return all;
      }
      for (FlowSummary& flow : page->flows) all.push_back(std::move(flow));
      resume = page->resume;
    } while (!resume.empty());
    return all;
  }

  std::vector<LaneSummary> lanes(std::size_t limit = 100) {
    std::vector<LaneSummary> all;
    std::string resume;
    do {
      Result<LanePage> page = wait_for_read<LanePage>(
          [&](auto done) { spool_->lanes(resume, limit, std::move(done)); });
      if (!page) {
        ADD_FAILURE() << "lanes() failed";
        return all;
      }
      for (LaneSummary& lane : page->lanes) all.push_back(std::move(lane));
      resume = page->resume;
    } while (!resume.empty());
    return all;
  }

  Result<DuePage> due_page(const FlowKey& flow, std::optional<DueCursor> after, std::size_t limit) {
    return wait_for_read<DuePage>(
        [&](auto done) { spool_->due_page(flow, after, limit, keep_content_, std::move(done)); });
  }

  KeepContent keep_content_;  ///< for the pages that due_page() reads

  /// Every due entry of a flow, page by page.
  std::vector<DueEntry> due_entries_of(const FlowKey& flow, std::size_t limit = 100) {
    std::vector<DueEntry> all;
    std::optional<DueCursor> after;
    for (;;) {
      Result<DuePage> page = due_page(flow, after, limit);
      if (!page || page->entries.size() > limit) {
        ADD_FAILURE() << "due_page() failed";
        return all;
      }
      for (DueEntry& entry : page->entries) all.push_back(std::move(entry));
      if (page->end) return all;
      if (page->entries.empty()) {
        ADD_FAILURE() << "an empty page that is not the end";
        return all;
      }
      after = DueCursor{all.back().due, all.back().id};
    }
  }

  /// Recipients with a due entry, by message, with their times; over all flows.
  std::map<std::pair<QueueId, std::uint32_t>, Time> all_due() {
    std::map<std::pair<QueueId, std::uint32_t>, Time> result;
    for (const FlowSummary& flow : flows()) {
      std::uint64_t recipients = 0;
      for (const DueEntry& entry : due_entries_of(flow.flow)) {
        EXPECT_GE(entry.due, flow.earliest);
        for (const std::uint32_t index : entry.recipients) {
          ++recipients;
          const bool fresh = result.emplace(std::pair(entry.id, index), entry.due).second;
          EXPECT_TRUE(fresh) << "a recipient is due twice";
        }
      }
      EXPECT_EQ(recipients, flow.queued);
    }
    return result;
  }

  static FlowKey flow_key(const Message& message, std::size_t recipient = 0) {
    return {message.lanes[recipient], message.klass, flow_of(message)};
  }

  /// All events, read in small pages.
  std::vector<Event> all_events(std::uint64_t from = 0) {
    std::vector<Event> all;
    std::uint64_t seq = from;
    for (;;) {
      Result<EventPage> page = wait_for_read<EventPage>(
          [&](auto done) { spool_->events_since(seq, 7, std::move(done)); });
      if (!page || page->lost != 0 || page->events.size() > 7) {
        ADD_FAILURE() << "events_since() failed";
        return all;
      }
      if (page->events.empty()) return all;
      for (Event& event : page->events) all.push_back(std::move(event));
      seq = page->next_seq;
    }
  }

  Totals totals(const std::string& tenant = "default") {
    for (const TenantTotals& entry : spool_->totals()) {
      EXPECT_TRUE(entry.totals.balanced()) << entry.tenant;
      if (entry.tenant == tenant) return entry.totals;
    }
    return {};
  }

  AnswerBook answers_;

 private:
  std::atomic<std::int64_t> now_ = 1'772'000'000'000'000;  // microseconds since the epoch
  SeededRandom random_{seed};
  IdSource ids_{random_};
  std::uint64_t next_tag_ = 1;
  std::unique_ptr<BackendFactory> backend_;
  std::unique_ptr<Spool> spool_;
};

inline std::string backend_name(const testing::TestParamInfo<Backend>& info) {
  return info.param.name;
}

}  // namespace mansio::spool

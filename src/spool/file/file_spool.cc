#include "spool/file/file_spool.h"

#include <utility>

#include "base/log.h"
#include "spool/file/housekeeper.h"
#include "spool/file/readers.h"

namespace mansio::spool {
namespace {

class FileSpool final : public Spool {
 public:
  FileSpool(FileSpoolOptions options, Clock& clock)
      : store_(std::move(options), clock),
        housekeeper_(store_),
        committer_(store_, [this] { housekeeper_.kick(); }),
        readers_(store_,
                 {[this](const QueueId& id, std::string why) { quarantine(id, std::move(why)); },
                  [this](std::vector<MessageRow> rows, std::uint64_t group) {
                    committer_.offer(std::move(rows), group);
                  }}) {
    housekeeper_.start(committer_);
  }

  ~FileSpool() override {
    if (stopped_) return;
    if (store_.options.clean_on_destruction) {
      stop();
    } else {
      abandon();
    }
  }

  void submit(std::vector<Request> requests, CompletionSink& sink) override {
    committer_.submit(std::move(requests), sink);
  }

  std::unique_ptr<ContentWriter> open_content(const QueueId& content) override {
    return store_.contents->open(content);
  }

  void discard_content(const QueueId& content) override { committer_.discard(content); }

  std::unique_ptr<AttemptMark> mark_attempt(const QueueId& id,
                                            std::span<const std::uint32_t> recipients,
                                            std::uint32_t attempt, bool durable) override {
    return store_.marks->mark(id, recipients, attempt, committer_.sequence(), durable);
  }

  std::vector<InDoubt> take_in_doubt() override {
    const std::lock_guard lock(mutex_);
    std::vector<InDoubt> doubts;
    if (doubts_taken_) return doubts;
    doubts_taken_ = true;
    for (const FoundMark& mark : store_.found_marks) doubts.push_back(mark.doubt);
    return doubts;
  }

  void due_page(const FlowKey& flow, std::optional<DueCursor> after, std::size_t limit,
                KeepContent keep, Done<DuePage> done) override {
    readers_.due_page(flow, after, limit, std::move(keep), std::move(done));
  }

  void flows(std::string resume, std::size_t limit, Done<FlowPage> done) override {
    readers_.flows(std::move(resume), limit, std::move(done));
  }

  void lanes(std::string resume, std::size_t limit, Done<LanePage> done) override {
    readers_.lanes(std::move(resume), limit, std::move(done));
  }

  void get(std::vector<QueueId> ids, Done<std::vector<StoredMessagePtr>> done) override {
    readers_.get(std::move(ids), std::move(done));
  }

  void list(const Selector& selector, std::string resume, std::size_t limit,
            Done<ListPage> done) override {
    readers_.list(selector, std::move(resume), limit, std::move(done));
  }

  void read_content(const QueueId& id, std::uint64_t offset, std::uint64_t length,
                    Done<std::string> done) override {
    readers_.read_content(id, offset, length, std::move(done));
  }

  void history(const QueueId& id, Done<std::vector<HistoryEntry>> done) override {
    readers_.history(id, std::move(done));
  }

  void events_since(std::uint64_t seq, std::size_t limit, Done<EventPage> done) override {
    readers_.events_since(seq, limit, std::move(done));
  }

  std::vector<TenantTotals> totals() const override { return committer_.totals(); }

  std::vector<Suspension> suspensions() const override { return committer_.suspensions(); }

  Health health() const override { return committer_.health(); }

  void on_latched(std::function<void(std::string)> notify) override {
    committer_.on_latched(std::move(notify));
  }

  std::vector<std::pair<std::string, double>> statistics() const override {
    auto out = committer_.statistics();
    const auto append = [&out](std::vector<std::pair<std::string, double>> more) {
      out.insert(out.end(), more.begin(), more.end());
    };
    append(housekeeper_.statistics());
    append(store_.index->statistics());
    append({{"journal_segments", static_cast<double>(store_.journal->segments_in_use())},
            {"journal_octets", static_cast<double>(store_.journal->octets_on_disk())},
            {"journal_written_octets", static_cast<double>(store_.journal->written_total())},
            {"journal_filled_octets", static_cast<double>(store_.journal->filled_total())},
            {"events_octets", static_cast<double>(store_.events->octets())},
            {"messages_unreadable", static_cast<double>(store_.unreadable->count())},
            {"attempt_marks", static_cast<double>(store_.marks->in_use())},
            {"replayed_groups", static_cast<double>(store_.replayed_groups)}});
    return out;
  }

  void checkpoint() override { housekeeper_.checkpoint(); }

  void stop() override {
    if (stopped_) return;
    stopped_ = true;
    committer_.stop();
    housekeeper_.stop();
    readers_.stop();
    store_.content_work->stop();
    if (committer_.health() == Health::latched) return;  // the next start replays the journal
    auto done = store_.events->sync();
    if (done) done = store_.index->flush();
    if (done) {
      // Who has asked knows; what nobody has asked for stays for the next start.
      if (doubts_taken_) store_.marks->release(std::exchange(store_.found_marks, {}));
      store_.release_settled_marks();
      done = store_.high_water->write({committer_.durable_group(), committer_.durable_sequence(),
                                       committer_.message_count(), true});
    }
    if (!done) log::error("spool_stop_failed").field("error", done.error().message());
  }

 private:
  /// Ends the threads and leaves the files as a killed process would.
  void abandon() {
    stopped_ = true;
    committer_.stop();
    housekeeper_.stop();
    readers_.stop();
    store_.content_work->stop();
  }

  void quarantine(const QueueId& id, std::string why) {
    log::error("message_quarantined").field("id", id.to_string()).field("reason", why);
    Change change;
    change.id = id;
    change.verb = Verb::quarantine;
    change.at = store_.clock.now();
    change.reason = std::move(why);
    change.actor = "engine";
    committer_.submit(Operation(std::move(change)));
  }

  Store store_;
  Housekeeper housekeeper_;
  Committer committer_;
  Readers readers_;
  std::mutex mutex_;
  bool doubts_taken_ = false;
  bool stopped_ = false;
};

}  // namespace

std::unique_ptr<Spool> open_file_spool(FileSpoolOptions options, Clock& clock) {
  return std::make_unique<FileSpool>(std::move(options), clock);
}

}  // namespace mansio::spool

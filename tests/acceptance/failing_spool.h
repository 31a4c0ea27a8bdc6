// A spool that passes everything on to another, but answers admits as a test wants, and knows how
// much of what was asked is not answered yet.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "spool/spool.h"

namespace mansio::acceptance {

class FailingSpool final : public spool::Spool {
 public:
  explicit FailingSpool(std::unique_ptr<spool::Spool> inner) : inner_(std::move(inner)) {}

  /// From now on admits are answered so and not carried out; nullopt: as usual.
  void answer_admits(std::optional<spool::Status> status) { admits_ = status; }

  /// From now on no attempt can be marked.
  void fail_marks(bool fail) { marks_fail_ = fail; }

  /// Requests and reads without an answer. At zero, every answer has been handed on.
  std::size_t outstanding() const { return outstanding_; }

  void submit(std::vector<spool::Request> requests, spool::CompletionSink& sink) override {
    std::vector<spool::Request> passed;
    std::vector<spool::Answer> answers;
    for (spool::Request& request : requests) {
      if (admits_ && std::holds_alternative<spool::Admit>(*request.operation)) {
        spool::Answer answer;
        answer.tag = request.tag;
        answer.status = *admits_;
        answer.detail = "injected by the test";
        answers.push_back(std::move(answer));
      } else {
        passed.push_back(std::move(request));
      }
    }
    if (!answers.empty()) sink.completed(std::move(answers));
    if (passed.empty()) return;
    outstanding_ += passed.size();
    inner_->submit(std::move(passed), counting(sink));
  }

  std::unique_ptr<spool::ContentWriter> open_content(const QueueId& id) override {
    return inner_->open_content(id);
  }

  void discard_content(const QueueId& id) override { inner_->discard_content(id); }

  std::unique_ptr<spool::AttemptMark> mark_attempt(const QueueId& id,
                                                   std::span<const std::uint32_t> recipients,
                                                   std::uint32_t attempt, bool durable) override {
    if (marks_fail_) return nullptr;
    return inner_->mark_attempt(id, recipients, attempt, durable);
  }

  std::vector<spool::InDoubt> take_in_doubt() override { return inner_->take_in_doubt(); }

  void due_page(const FlowKey& flow, std::optional<DueCursor> after, std::size_t limit,
                spool::KeepContent keep, spool::Done<spool::DuePage> done) override {
    inner_->due_page(flow, after, limit, std::move(keep), counted(std::move(done)));
  }

  void flows(std::string resume, std::size_t limit, spool::Done<spool::FlowPage> done) override {
    inner_->flows(std::move(resume), limit, counted(std::move(done)));
  }

  void lanes(std::string resume, std::size_t limit, spool::Done<spool::LanePage> done) override {
    inner_->lanes(std::move(resume), limit, counted(std::move(done)));
  }

  void get(std::vector<QueueId> ids,
           spool::Done<std::vector<spool::StoredMessagePtr>> done) override {
    inner_->get(std::move(ids), counted(std::move(done)));
  }

  void list(const spool::Selector& selector, std::string resume, std::size_t limit,
            spool::Done<spool::ListPage> done) override {
    inner_->list(selector, std::move(resume), limit, counted(std::move(done)));
  }

  void read_content(const QueueId& id, std::uint64_t offset, std::uint64_t length,
                    spool::Done<std::string> done) override {
    inner_->read_content(id, offset, length, counted(std::move(done)));
  }

  void history(const QueueId& id, spool::Done<std::vector<spool::HistoryEntry>> done) override {
    inner_->history(id, counted(std::move(done)));
  }

  void events_since(std::uint64_t seq, std::size_t limit,
                    spool::Done<spool::EventPage> done) override {
    inner_->events_since(seq, limit, counted(std::move(done)));
  }

  std::vector<spool::Suspension> suspensions() const override { return inner_->suspensions(); }

  std::vector<spool::TenantTotals> totals() const override { return inner_->totals(); }

  spool::Health health() const override { return inner_->health(); }

  void on_latched(std::function<void(std::string)> notify) override {
    inner_->on_latched(std::move(notify));
  }

  std::vector<std::pair<std::string, double>> statistics() const override {
    return inner_->statistics();
  }

  void checkpoint() override { inner_->checkpoint(); }

  void stop() override { inner_->stop(); }

 private:
  /// Hands answers on, and then counts them: what they set off stands in the queue's loop by then.
  class CountingSink final : public spool::CompletionSink {
   public:
    CountingSink(FailingSpool& owner, CompletionSink& inner) : owner_(owner), inner_(inner) {}

    void completed(std::vector<spool::Answer> answers) override {
      const std::size_t count = answers.size();
      inner_.completed(std::move(answers));
      owner_.outstanding_ -= count;
    }

   private:
    FailingSpool& owner_;
    CompletionSink& inner_;
  };

  spool::CompletionSink& counting(spool::CompletionSink& sink) {
    const std::lock_guard lock(sinks_mutex_);
    std::unique_ptr<CountingSink>& known = sinks_[&sink];
    if (!known) known = std::make_unique<CountingSink>(*this, sink);
    return *known;
  }

  template <class T>
  spool::Done<T> counted(spool::Done<T> done) {
    ++outstanding_;
    return [this, done = std::move(done)](Result<T> result) {
      done(std::move(result));
      --outstanding_;
    };
  }

  std::atomic<std::size_t> outstanding_{0};
  std::mutex sinks_mutex_;
  std::map<spool::CompletionSink*, std::unique_ptr<CountingSink>> sinks_;  // until the spool goes
  std::unique_ptr<spool::Spool> inner_;
  std::optional<spool::Status> admits_;
  bool marks_fail_ = false;
};

}  // namespace mansio::acceptance

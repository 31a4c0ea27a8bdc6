// An Admission that records, for tests of the edge. Test code.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "edge/admission.h"

namespace mansio::edge::test {

class FakeAdmission final : public Admission {
 public:
  Readiness readiness() const override { return ready; }

  QueueId new_id() override {
    QueueId id;
    id.octets[15] = ++last_id_;
    return id;
  }

  std::unique_ptr<spool::ContentWriter> open_content(const QueueId& content_id) override {
    return std::make_unique<Writer>(*this, content_id);
  }

  Task<Admitted> admit(Submission submission) override {
    Admitted admitted;
    admitted.status = status;
    admitted.id = submission.id;
    submissions.push_back(std::move(submission));
    reserved_at_admit = reserved;
    co_return admitted;
  }

  bool reserve_memory(std::uint64_t octets) override {
    if (reserved + octets > memory) return false;
    reserved += octets;
    return true;
  }

  void release_memory(std::uint64_t octets) override { reserved -= octets; }

  Task<KnownMessage> known(QueueId id) override {
    asked.push_back(id);
    co_return known_message;
  }

  Task<spool::Status> record(spool::Record record) override {
    records.push_back(std::move(record));
    co_return status;
  }

  /// Answers the oldest append or seal that waits; only with `hold_writes`.
  void answer_write() {
    auto done = std::move(waiting.front());
    waiting.pop_front();
    done(write_result);
  }

  // Answers
  Readiness ready = Readiness::ready;
  spool::Status status = spool::Status::committed;
  std::uint64_t memory = 1ull << 30;
  Result<void> write_result;
  bool hold_writes = false;
  KnownMessage known_message;

  // Records
  std::deque<Submission> submissions;
  std::vector<QueueId> asked;
  std::vector<spool::Record> records;
  std::map<QueueId, std::vector<std::string>> streamed;
  std::map<QueueId, bool> sealed;
  std::deque<spool::Done<void>> waiting;
  std::uint64_t reserved = 0;
  std::uint64_t reserved_at_admit = 0;

 private:
  class Writer final : public spool::ContentWriter {
   public:
    Writer(FakeAdmission& admission, const QueueId& id) : admission_(admission), id_(id) {}

    void append(std::string piece, spool::Done<void> done) override {
      admission_.streamed[id_].push_back(std::move(piece));
      answer(std::move(done));
    }

    void seal(spool::Done<void> done) override {
      admission_.sealed[id_] = true;
      answer(std::move(done));
    }

   private:
    void answer(spool::Done<void> done) {
      if (admission_.hold_writes) {
        admission_.waiting.push_back(std::move(done));
      } else {
        done(admission_.write_result);
      }
    }

    FakeAdmission& admission_;
    const QueueId id_;
  };

  std::uint8_t last_id_ = 0;
};

}  // namespace mansio::edge::test

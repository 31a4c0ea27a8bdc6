#include "delivery/target_channel.h"

#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>
#include <exception>
#include <utility>

#include "base/log.h"
#include "delivery/attempt_log.h"
#include "delivery/failure_policy.h"

namespace mansio::delivery {
namespace {

/// The content is asked for only once recipients were accepted and the body is on its way: from
/// there on the target may have the message.
class AnnouncingReader final : public ContentReader {
 public:
  explicit AnnouncingReader(Work& work) : work_(work) {}

  Task<Result<std::string>> read(std::uint64_t offset, std::uint64_t length) override {
    announce();
    return work_.content().read(offset, length);
  }

  std::shared_ptr<const std::string> in_memory() const override {
    announce();
    return work_.content().in_memory();
  }

  bool announced() const { return announced_; }

 private:
  void announce() const {
    if (announced_) return;
    work_.before_final_dot();  // throws if nothing may be sent: then nothing was announced
    announced_ = true;
  }

  Work& work_;
  mutable bool announced_ = false;
};

}  // namespace

TargetChannel::TargetChannel(std::shared_ptr<Target> target, std::string name)
    : target_(std::move(target)), name_(std::move(name)) {}

std::string TargetChannel::describe(const std::string&) const { return name_; }

Task<std::vector<Disposition>> TargetChannel::deliver(Work& work, ContentReader& content,
                                                      std::string& why, bool& stopped) {
  try {
    std::uint64_t faults = 0;
    std::vector<Disposition> dispositions =
        co_await deliver_to(*target_, work.message(), work.recipients(), content, faults);
    faults_ += faults;
    co_return dispositions;
  } catch (const boost::system::system_error& error) {
    stopped = error.code() == boost::asio::error::operation_aborted;
    why = error.what();
  } catch (const std::exception& error) {
    why = error.what();
  }
  co_return std::vector<Disposition>{};
}

Task<SessionReport> TargetChannel::run(SessionRequest, WorkSource& source) {
  SessionReport report;
  while (std::unique_ptr<Work> work = source.next()) {
    AnnouncingReader content(*work);
    std::string why;
    bool stopped = false;
    std::vector<Disposition> dispositions = co_await deliver(*work, content, why, stopped);
    if (stopped && !content.announced()) {
      source.put_back(std::move(work));
      break;
    }
    if (!why.empty()) {
      if (!stopped) {
        ++faults_;
        log::error("target_failed").field("target", name_).field("text", why);
      }
      Event event;
      event.stage = content.announced() ? Stage::final_dot : Stage::local;
      event.cause = Cause::local;
      event.dot_written = content.announced();
      event.reply.text = stopped ? "the session was stopped" : "internal error: " + why;
      dispositions.assign(work->recipients().size(), to_disposition(classify(event), event));
    }
    for (std::size_t i = 0; i < dispositions.size(); ++i) {
      log_attempt(work->message(), work->recipients()[i], work->attempt(), dispositions[i]);
    }
    ++report.messages;
    source.finished(std::move(work), std::move(dispositions));
    if (stopped) break;
  }
  co_return report;
}

}  // namespace mansio::delivery

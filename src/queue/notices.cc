#include "queue/notices.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/log.h"
#include "queue/await.h"

namespace mansio::queue {
namespace {

dsn::Returned fallback_of(const settings::Notify& notify) {
  if (notify.return_content == "full") return dsn::Returned::full;
  if (notify.return_content == "none") return dsn::Returned::nothing;
  return dsn::Returned::headers;
}

}  // namespace

std::uint64_t NoticeMaker::random() {
  const std::lock_guard lock(random_mutex_);
  return ports_.random->next();
}

Task<std::vector<spool::Admit>> NoticeMaker::make(
    std::shared_ptr<const Message> original, std::vector<dsn::FailedRecipient> failed,
    std::shared_ptr<const settings::Settings> settings) {
  std::vector<spool::Admit> notices;
  std::erase_if(failed, [&](const dsn::FailedRecipient& recipient) {
    return !dsn::notice_wanted(*original, original->envelope.recipients[recipient.index].notify);
  });
  if (failed.empty()) co_return notices;

  const settings::Notify& notify = settings->notify;
  dsn::Returned returned = dsn::returned_part(*original, fallback_of(notify), notify.return_max);
  std::shared_ptr<const std::string> octets = original->content.octets;
  if (!octets && returned != dsn::Returned::nothing) {
    const ContentFacts& facts = original->content.facts;
    const std::uint64_t wanted =
        returned == dsn::Returned::full
            ? facts.size
            : std::min<std::uint64_t>(facts.header_size, notify.return_max);
    spool::Spool& spool = ports_.spool;
    const QueueId id = original->id;
    std::function<void(std::function<void(Result<std::string>)>)> start =
        [&spool, id, wanted](std::function<void(Result<std::string>)> done) {
          spool.read_content(id, 0, wanted, std::move(done));
        };
    auto reading = answer_of<Result<std::string>>(std::move(start));
    Result<std::string> read = co_await std::move(reading);
    if (read) {
      octets = std::make_shared<const std::string>(std::move(*read));
    } else {
      returned = dsn::Returned::nothing;
    }
  }

  for (std::size_t from = 0; from < failed.size(); from += dsn::recipients_per_notice) {
    const std::size_t to = std::min(from + dsn::recipients_per_notice, failed.size());
    dsn::NoticeRequest request{*original,
                               {failed.begin() + static_cast<std::ptrdiff_t>(from),
                                failed.begin() + static_cast<std::ptrdiff_t>(to)},
                               settings->server.hostname,
                               returned,
                               octets ? std::string_view(*octets) : std::string_view(),
                               notify.return_max,
                               ports_.new_id(),
                               ports_.clock.now(),
                               notify.lifetime,
                               random()};
    std::optional<dsn::Notice> notice = ports_.builder->build(request);
    if (!notice) continue;
    Message& message = notice->message;
    message.lanes.clear();
    for (const Recipient& recipient : message.envelope.recipients) {
      message.lanes.push_back(
          {destination_of(recipient.address, settings->server.hostname), "default"});
    }
    log::info("notice")
        .field("id", message.id.to_string())
        .field("about", original->id.to_string())
        .field("recipient", original->envelope.reverse_path.to_string())
        .field("failed", to - from);
    std::vector<Time> due(message.lanes.size(), request.now);
    notices.push_back({std::move(message), std::move(due)});
  }
  co_return notices;
}

}  // namespace mansio::queue

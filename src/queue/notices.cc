#include "queue/notices.h"

#include <algorithm>
#include <exception>
#include <map>
#include <span>
#include <utility>

#include "base/log.h"
#include "base/text.h"
#include "queue/await.h"

namespace mansio::queue {
namespace {

// What tells our own notices from each other when one fails: only the first kind may come to the
// postmaster, and what goes to the postmaster ends there. Set by the engine alone.
constexpr std::string_view to_sender = "notice";
constexpr std::string_view to_postmaster = "notice to postmaster";

/// Why nobody was told, as the log and the metrics name it.
constexpr const char* suppression_reasons[] = {
    "null_path", "about_notice", "never", "not_asked", "peer_reports", "bulk", "builder"};

constexpr dsn::Action actions[] = {dsn::Action::failed, dsn::Action::delayed, dsn::Action::relayed,
                                   dsn::Action::delivered};

dsn::Returned fallback_of(const settings::Notify& notify) {
  if (notify.return_content == "full") return dsn::Returned::full;
  if (notify.return_content == "none") return dsn::Returned::nothing;
  return dsn::Returned::headers;
}

/// "failed 2, delayed 1"
std::string summary_of(const std::vector<dsn::ReportedRecipient>& recipients) {
  std::string text;
  for (const dsn::Action action : actions) {
    const auto count = std::ranges::count(recipients, action, &dsn::ReportedRecipient::action);
    if (count == 0) continue;
    if (!text.empty()) text += ", ";
    text += dsn::to_text(action) + (' ' + std::to_string(count));
  }
  return text;
}

bool same_mailbox(const Address& a, const Address& b) {
  return a.local == b.local && equals_ignoring_case(a.domain, b.domain);
}

/// The postmaster of [notify], where there is one.
std::optional<Address> postmaster_of(const settings::Notify& notify) {
  if (notify.postmaster.empty()) return std::nullopt;
  const auto address = Address::parse(notify.postmaster, true);
  if (!address) return std::nullopt;
  return *address;
}

/// Mail has no line ends but CRLF, whoever wrote it.
std::string with_crlf(std::string_view octets) {
  std::string out;
  out.reserve(octets.size() + 2);
  for (std::size_t i = 0; i < octets.size(); ++i) {
    const bool pair = octets[i] == '\r' && i + 1 < octets.size() && octets[i + 1] == '\n';
    if (pair) ++i;
    if (pair || octets[i] == '\r' || octets[i] == '\n') {
      out += "\r\n";
    } else {
      out += octets[i];
    }
  }
  if (!out.ends_with("\r\n")) out += "\r\n";
  return out;
}

/// What a site's builder made, with everything that decides where it goes set by the engine.
void guard(dsn::Notice& notice, const dsn::NoticeRequest& request) {
  Message& message = notice.message;
  const bool utf8 = message.envelope.smtputf8 || request.to.needs_utf8();
  Envelope envelope;
  Recipient reader;
  reader.address = request.to;
  reader.original = request.to;
  reader.notify = {.present = true, .never = true};
  envelope.recipients.push_back(std::move(reader));
  envelope.smtputf8 = utf8;
  envelope.origin.protocol = request.audience == dsn::Audience::sender ? to_sender : to_postmaster;

  auto octets = std::make_shared<const std::string>(with_crlf(*message.content.octets));
  ContentScanner scanner;
  scanner.feed(*octets);
  message.content.id = request.id;
  message.content.facts = scanner.finish();
  message.content.octets = std::move(octets);
  if (message.content.facts.has_8bit_body) envelope.body = BodyType::eight_bit_mime;

  message.id = request.id;
  message.envelope = std::move(envelope);
  message.accepted_at = request.now;
  message.expires_at = request.now + request.lifetime;
  message.tenant = request.original.tenant;
  message.is_notice = true;
  message.lanes.clear();
}

}  // namespace

/// What one call of make() works on.
struct NoticeMaker::Round {
  std::shared_ptr<const Message> original;
  std::vector<dsn::ReportedRecipient> recipients;  ///< with a decision to tell the sender
  std::vector<dsn::ReportedRecipient> for_postmaster;
  dsn::Audience postmaster_as = dsn::Audience::postmaster;
  std::optional<Address> postmaster;
  dsn::NextHop next_hop;
  std::shared_ptr<const settings::Settings> settings;
  Content content;
  std::shared_ptr<const std::string> octets;
  dsn::Returned returned = dsn::Returned::nothing;  ///< to the sender
  dsn::Returned returned_to_postmaster = dsn::Returned::nothing;
  std::vector<spool::Admit> notices;
};

NoticeMaker::NoticeMaker(Ports ports)
    : ports_(std::move(ports)), own_builder_(dsn::make_bounce_builder()) {}

std::uint64_t NoticeMaker::random() {
  const std::lock_guard lock(random_mutex_);
  return ports_.random->next();
}

std::vector<std::pair<std::string, std::uint64_t>> NoticeMaker::told() const {
  std::vector<std::pair<std::string, std::uint64_t>> counts;
  for (std::size_t i = 0; i < std::size(actions); ++i) {
    counts.push_back({dsn::to_text(actions[i]), told_[i].load(std::memory_order_relaxed)});
  }
  return counts;
}

std::vector<std::pair<std::string, std::uint64_t>> NoticeMaker::suppressed() const {
  std::vector<std::pair<std::string, std::uint64_t>> counts;
  for (std::size_t i = 0; i < std::size(suppression_reasons); ++i) {
    counts.push_back({suppression_reasons[i], suppressed_[i].load(std::memory_order_relaxed)});
  }
  return counts;
}

void NoticeMaker::suppress(const Message& original, const char* reason, std::size_t recipients) {
  if (recipients == 0) return;
  for (std::size_t i = 0; i < std::size(suppression_reasons); ++i) {
    if (std::string_view(suppression_reasons[i]) != reason) continue;
    suppressed_[i].fetch_add(recipients, std::memory_order_relaxed);
  }
  log::info("notice_suppressed")
      .field("id", original.id.to_string())
      .field("reason", reason)
      .field("recipients", recipients);
}

/// Sorts the recipients into those that the sender and those that the postmaster is told of.
void NoticeMaker::decide(Round& round) {
  const Message& original = *round.original;
  const settings::Notify& notify = round.settings->notify;
  round.postmaster = postmaster_of(notify);
  std::map<dsn::Silence, std::size_t> silences;
  std::vector<dsn::ReportedRecipient> told, failed_notices;
  for (dsn::ReportedRecipient& recipient : round.recipients) {
    const dsn::NoticeDecision decision =
        dsn::notice_action(original, recipient.index, recipient.disposition, round.next_hop);
    if (decision.action) {
      recipient.action = *decision.action;
      told.push_back(std::move(recipient));
      continue;
    }
    const bool failed = recipient.disposition.outcome == Outcome::failed ||
                        recipient.disposition.outcome == Outcome::expired;
    const bool to_the_postmaster =
        failed && decision.silence == dsn::Silence::about_notice && notify.double_bounce &&
        round.postmaster && original.envelope.origin.protocol == to_sender &&
        !same_mailbox(original.envelope.recipients[recipient.index].address, *round.postmaster);
    if (to_the_postmaster) {
      recipient.action = dsn::Action::failed;
      failed_notices.push_back(std::move(recipient));
    } else {
      ++silences[decision.silence];
    }
  }
  for (const auto& [silence, recipients] : silences) {
    suppress(original, dsn::to_text(silence), recipients);
  }
  round.recipients = std::move(told);
  if (!failed_notices.empty()) {
    round.postmaster_as = dsn::Audience::double_bounce;
    round.for_postmaster = std::move(failed_notices);
  } else if (round.postmaster && !same_mailbox(original.envelope.reverse_path, *round.postmaster)) {
    std::ranges::copy_if(round.recipients, std::back_inserter(round.for_postmaster),
                         [](const dsn::ReportedRecipient& recipient) {
                           return recipient.action == dsn::Action::failed;
                         });
  }
}

/// The last tries of those that had more than one, before those that the caller knows.
Task<void> NoticeMaker::add_attempts(Round& round) {
  std::map<std::uint32_t, std::vector<dsn::PastAttempt>> earlier;
  for (const auto* recipients : {&round.recipients, &round.for_postmaster}) {
    for (const auto& recipient : *recipients) {
      if (recipient.tries > 1) earlier[recipient.index];
    }
  }
  if (earlier.empty()) co_return;
  using Entries = Result<std::vector<spool::HistoryEntry>>;
  spool::Spool& spool = ports_.spool;
  const QueueId id = round.original->id;
  std::function<void(std::function<void(Entries)>)> start =
      [&spool, id](std::function<void(Entries)> done) { spool.history(id, std::move(done)); };
  auto reading = answer_of<Entries>(std::move(start));
  const Entries entries = co_await std::move(reading);
  if (!entries) co_return;  // the last reply is known without it
  for (const spool::HistoryEntry& entry : *entries) {
    if (!entry.recipient || entry.kind != spool::EventKind::deferred) continue;
    const auto known = earlier.find(*entry.recipient);
    if (known == earlier.end() || !entry.disposition.counts_as_try) continue;
    std::vector<dsn::PastAttempt>& attempts = known->second;
    if (attempts.size() == dsn::attempts_shown) attempts.erase(attempts.begin());
    const Disposition& disposition = entry.disposition;
    attempts.push_back({entry.at, disposition.host, disposition.address, disposition.reply});
  }
  for (auto* recipients : {&round.recipients, &round.for_postmaster}) {
    for (auto& recipient : *recipients) {
      if (recipient.tries <= 1) continue;
      const std::vector<dsn::PastAttempt>& attempts = earlier[recipient.index];
      recipient.attempts.insert(recipient.attempts.begin(), attempts.begin(), attempts.end());
    }
  }
}

Task<void> NoticeMaker::load_content(Round& round) {
  const Message& original = *round.original;
  const settings::Notify& notify = round.settings->notify;
  if (round.content == Content::none) co_return;
  const bool failure =
      std::ranges::any_of(round.recipients, [](const dsn::ReportedRecipient& recipient) {
        return recipient.action == dsn::Action::failed;
      });
  if (!round.recipients.empty()) {
    round.returned = dsn::returned_part(original, failure, fallback_of(notify), notify.return_max);
  }
  if (!round.for_postmaster.empty()) round.returned_to_postmaster = dsn::Returned::headers;
  if (round.returned == dsn::Returned::nothing &&
      round.returned_to_postmaster == dsn::Returned::nothing) {
    co_return;
  }
  round.octets = original.content.octets;
  if (round.octets) co_return;
  const ContentFacts& facts = original.content.facts;
  const std::uint64_t wanted = round.returned == dsn::Returned::full
                                   ? facts.size
                                   : std::min<std::uint64_t>(facts.header_size, notify.return_max);
  spool::Spool& spool = ports_.spool;
  const QueueId id = original.id;
  std::function<void(std::function<void(Result<std::string>)>)> start =
      [&spool, id, wanted](std::function<void(Result<std::string>)> done) {
        spool.read_content(id, 0, wanted, std::move(done));
      };
  auto reading = answer_of<Result<std::string>>(std::move(start));
  Result<std::string> read = co_await std::move(reading);
  if (read) {
    round.octets = std::make_shared<const std::string>(std::move(*read));
  } else {
    round.returned = round.returned_to_postmaster = dsn::Returned::nothing;
  }
}

/// nullopt: a site's builder wants none.
std::optional<dsn::Notice> NoticeMaker::build(const dsn::NoticeRequest& request) {
  std::optional<dsn::Notice> notice;
  std::string trouble;
  if (ports_.site_builder) {
    try {
      notice = ports_.site_builder->build(request);
      if (!notice) return std::nullopt;
      if (!notice->message.content.octets) trouble = "the notice has no content";
    } catch (const std::exception& error) {
      trouble = error.what();
    } catch (...) {
      trouble = "unknown exception";
    }
    if (!trouble.empty()) {
      log::error("bounce_builder_failed")
          .field("id", request.original.id.to_string())
          .field("error", trouble);
    }
  }
  if (!ports_.site_builder || !trouble.empty()) notice = own_builder_->build(request);
  guard(*notice, request);
  return notice;
}

void NoticeMaker::build_all(Round& round, dsn::Audience audience, const Address& to,
                            const std::vector<dsn::ReportedRecipient>& recipients) {
  const settings::Settings& settings = *round.settings;
  const std::span<const dsn::ReportedRecipient> all(recipients);
  for (std::size_t from = 0; from < all.size(); from += dsn::recipients_per_notice) {
    const auto part = all.subspan(from, std::min(dsn::recipients_per_notice, all.size() - from));
    const dsn::NoticeRequest request{
        .original = *round.original,
        .recipients = {part.begin(), part.end()},
        .audience = audience,
        .to = to,
        .hostname = settings.server.hostname,
        .returned =
            audience == dsn::Audience::sender ? round.returned : round.returned_to_postmaster,
        .octets = round.octets ? std::string_view(*round.octets) : std::string_view(),
        .return_max = settings.notify.return_max,
        .id = ports_.new_id(),
        .now = ports_.clock.now(),
        .lifetime = settings.notify.lifetime,
        .random = random()};
    std::optional<dsn::Notice> notice = build(request);
    if (!notice) {
      if (audience == dsn::Audience::sender) suppress(*round.original, "builder", part.size());
      continue;
    }
    Message& message = notice->message;
    message.lanes.push_back(
        {destination_of(to, settings.server.hostname), std::string(notices_binding)});
    if (audience == dsn::Audience::sender) {
      for (const auto& recipient : part) {
        told_[static_cast<std::size_t>(recipient.action)].fetch_add(1, std::memory_order_relaxed);
      }
    }
    log::info("notice")
        .field("id", message.id.to_string())
        .field("about", round.original->id.to_string())
        .field("recipient", to.to_string())
        .field("actions", summary_of(request.recipients));
    round.notices.push_back({std::move(message), {request.now}});
  }
}

Task<std::vector<spool::Admit>> NoticeMaker::make(
    std::shared_ptr<const Message> original, std::vector<dsn::ReportedRecipient> recipients,
    dsn::NextHop next_hop, std::shared_ptr<const settings::Settings> settings, Content content) {
  Round round;
  round.original = std::move(original);
  round.recipients = std::move(recipients);
  round.next_hop = next_hop;
  round.settings = std::move(settings);
  round.content = content;
  decide(round);
  if (round.recipients.empty() && round.for_postmaster.empty()) co_return std::move(round.notices);
  auto adding = add_attempts(round);
  co_await std::move(adding);
  auto loading = load_content(round);
  co_await std::move(loading);
  build_all(round, dsn::Audience::sender, round.original->envelope.reverse_path, round.recipients);
  if (!round.for_postmaster.empty()) {
    build_all(round, round.postmaster_as, *round.postmaster, round.for_postmaster);
  }
  co_return std::move(round.notices);
}

}  // namespace mansio::queue

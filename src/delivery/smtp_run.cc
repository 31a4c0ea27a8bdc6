#include "delivery/smtp_run.h"

#include <algorithm>
#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>
#include <numeric>
#include <utility>

#include "base/assert.h"
#include "base/log.h"
#include "delivery/attempt_log.h"
#include "delivery/body_sources.h"
#include "delivery/message_form.h"

namespace mansio::delivery {
namespace {

/// A larger message keeps the one behind it waiting too long to claim that already.
constexpr std::uint64_t pipelined_content_max = 256 * 1024;

/// Messages that one finding about a destination ends; then the DNS or the hosts are asked again.
constexpr std::uint32_t failed_unsent_max = 100;

Event own_event(Stage stage, Cause cause, std::uint16_t code, EnhancedCode enhanced,
                std::string text) {
  Event event;
  event.stage = stage;
  event.cause = cause;
  event.reply.code = code;
  event.reply.enhanced = enhanced;
  event.reply.text = std::move(text);
  return event;
}

Event local_event(std::string text) {
  return own_event(Stage::local, Cause::local, 451, {4, 3, 0}, std::move(text));
}

}  // namespace

bool Job::untouched() const {
  return behind_dot.empty() && std::none_of(results.begin(), results.end(),
                                            [](const auto& result) { return result.has_value(); });
}

SmtpRun::SmtpRun(const SmtpChannelOptions& options, RouteSource& routes, ConnectionPorts ports,
                 SessionRequest request, WorkSource& source)
    : options_(options),
      routes_(routes),
      ports_(std::move(ports)),
      request_(std::move(request)),
      source_(source),
      recipients_max_(std::max<std::size_t>(1, request_.recipients_max)) {}

// ---- the session -----------------------------------------------------------------------------

Task<void> SmtpRun::go() {
  bool waited = false;
  while (!over_ && !limit_reached()) {
    const std::shared_ptr<Job> job = take();
    if (!job) {
      if (!connected_.session) break;
      if (!co_await source_.wait(options_.timeouts.idle)) break;
      waited = true;
      continue;
    }
    // Between two messages in a row the socket is not asked: the next reply tells.
    const bool was_idle = std::exchange(waited, false);
    if (connected_.session &&
        (was_idle ? connected_.session->stale() : connected_.session->out_of_step())) {
      // Found out before anything was written: nobody's fault, a new connection will do.
      connected_.session->close();
      connected_.session.reset();
    }
    if (dead_) {
      for (auto& result : job->results) result = *dead_;
      finish(job);
      if (++failed_unsent_ == failed_unsent_max) break;
      continue;
    }
    bool ready = connected_.session != nullptr;
    if (!ready) ready = co_await connect(*job);
    if (!ready) {
      finish(job);
      if (!dead_) break;
      continue;
    }
    ++begun_;
    if (!co_await prepare(*job)) {
      finish(job);
      continue;
    }
    co_await transact(make_round(job));
  }
  if (connected_.session) co_await connected_.session->quit();
}

bool SmtpRun::limit_reached() const {
  return connected_.session && request_.messages_max != 0 && begun_ >= request_.messages_max;
}

std::shared_ptr<Job> SmtpRun::take() {
  std::unique_ptr<Work> work = source_.next();
  if (!work) return nullptr;
  auto job = std::make_shared<Job>();
  job->results.resize(work->recipients().size());
  job->pending.resize(job->results.size());
  std::iota(job->pending.begin(), job->pending.end(), 0);
  job->work = std::move(work);
  jobs_.push_back(job);
  return job;
}

Task<bool> SmtpRun::connect(Job& job) {
  begun_ = 0;
  answered_ = 0;
  last_word_ = {};
  recipients_max_ = std::max<std::size_t>(1, request_.recipients_max);
  auto routing = routes_.route(request_.lane);
  RouteResult found = co_await std::move(routing);
  if (found.failure) {
    note_no_host(ports_, request_.lane.destination, *found.failure);
  } else {
    ConnectionOptions options;
    options.lmtp = options_.lmtp;
    options.destination = request_.lane.destination;
    options.ehlo = request_.binding.ehlo;
    options.source = request_.binding.source;
    options.timeouts = options_.timeouts;
    connected_ = co_await open_connection(ports_, std::move(options), std::move(found.route));
    if (connected_.session) co_return true;
    found.failure = connected_.trouble;
  }
  if (found.failure->outcome == Outcome::failed) {
    // Nothing is to be waited for: what else the lane has now ends in the same way, at once.
    dead_ = found.failure;
  } else {
    report.trouble = *found.failure;
  }
  for (auto& result : job.results) result = *found.failure;
  co_return false;
}

// ---- one message against what the peer offers ------------------------------------------------

Task<bool> SmtpRun::prepare(Job& job) {
  const Message& message = job.work->message();
  const Envelope& envelope = message.envelope;
  const smtp::Extensions& offered = connected_.session->offered();
  const auto recipient_at = [&](std::size_t place) -> const Recipient& {
    return envelope.recipients.at(job.work->recipients()[place]);
  };
  std::vector<std::size_t> sendable;
  sendable.reserve(job.pending.size());
  for (const std::size_t place : job.pending) {
    const Recipient& recipient = recipient_at(place);
    if (!smtp::is_safe_sender(envelope) || !smtp::is_safe_recipient(recipient)) {
      settle(job, place, local_event("the stored envelope holds control characters"));
      log::error("envelope_unsafe").field("id", message.id.to_string());
    } else if (!can_be_named(recipient.address, offered)) {
      settle(job, place, lacks_smtputf8("this address"));
    } else {
      sendable.push_back(place);
    }
  }
  job.pending = std::move(sendable);
  if (job.pending.empty()) co_return false;

  MessageForm form = form_for(message, offered, options_.conversion_max);
  if (!form.failure && form.needs_conversion()) {
    co_await convert(form, message, job.work->content());
  }
  if (form.failure) {
    settle_rest(job, *form.failure);
    co_return false;
  }
  job.facts = form.facts;
  job.converted = std::move(form.converted);
  for (const std::size_t place : job.pending) {
    job.facts.smtputf8 |= offered.smtputf8 && recipient_at(place).address.needs_utf8();
  }
  if (offered.size && offered.size_max != 0 && job.facts.size > offered.size_max) {
    const Event event =
        own_event(Stage::mail, Cause::extension, 552, {5, 3, 4},
                  "the message has " + std::to_string(job.facts.size) +
                      " octets, the host takes at most " + std::to_string(offered.size_max));
    settle_rest(job, event);
  }
  co_return !job.pending.empty();
}

// ---- transactions ----------------------------------------------------------------------------

std::unique_ptr<Round> SmtpRun::make_round(const std::shared_ptr<Job>& job) {
  MANSIO_ASSERT(!job->pending.empty());
  auto round = std::make_unique<Round>();
  round->job = job;
  const Message& message = job->work->message();
  smtp::Transaction& transaction = round->transaction;
  transaction.envelope = &message.envelope;
  transaction.facts = job->facts;
  const bool alone = one_transaction_each(options_.return_paths, message);
  const std::size_t count = std::min(alone ? 1 : recipients_max_, job->pending.size());
  const auto rest = job->pending.begin() + static_cast<std::ptrdiff_t>(count);
  round->places.assign(job->pending.begin(), rest);
  job->pending.erase(job->pending.begin(), rest);
  transaction.recipients.reserve(count);
  for (const std::size_t place : round->places) {
    transaction.recipients.push_back(job->work->recipients()[place]);
  }
  round->marked = marked_envelope(options_.return_paths, message, transaction.recipients,
                                  connected_.session->offered().dsn);
  if (round->marked) {
    transaction.envelope = &*round->marked;
    for (std::size_t i = 0; i < transaction.recipients.size(); ++i) {
      transaction.recipients[i] = static_cast<std::uint32_t>(i);
    }
  }
  return round;
}

/// The transaction whose commands go out with the final dot of `current`, or null.
Task<std::unique_ptr<Round>> SmtpRun::choose_next(const Round& current) {
  if (!connected_.session->offered().pipelining) co_return nullptr;
  if (current.transaction.facts.size > pipelined_content_max) co_return nullptr;
  if (!current.job->pending.empty()) co_return make_round(current.job);
  while (!limit_reached()) {
    const std::shared_ptr<Job> job = take();
    if (!job) break;
    ++begun_;
    if (co_await prepare(*job)) co_return make_round(job);
    finish(job);
  }
  co_return nullptr;
}

Task<void> SmtpRun::transact(std::unique_ptr<Round> round) {
  bool queued = false;
  while (round) {
    smtp::ClientSession& session = *connected_.session;
    const std::shared_ptr<Job> job = round->job;
    if (!co_await send_envelope(*round, queued)) co_return;
    smtp::Transaction& transaction = round->transaction;
    queued = false;
    std::unique_ptr<Round> next;
    if (session.usable() && transaction.data_accepted() && transaction.accepted() != 0) {
      next = co_await choose_next(*round);
      if (next) {
        session.queue_envelope(next->transaction);
        queued = true;
      }
      std::unique_ptr<smtp::BodySource> body =
          job->converted ? std::make_unique<MemoryBody>(job->converted)
                         : make_body(job->work->content(), job->facts.size);
      const Round* sending = round.get();
      const std::function<void()> announce = [&job, sending] {
        job->work->before_final_dot();  // throws if the dot must not be sent
        for (std::size_t i = 0; i < sending->places.size(); ++i) {
          if (sending->transaction.recipient[i].positive()) {
            job->behind_dot.push_back(sending->places[i]);
          }
        }
      };
      co_await session.content(transaction, *body, announce);
      if (transaction.dot_written) co_await session.final_answers(transaction);
      settle_final(*round);
    }
    if (!session.usable()) {
      over_ = true;
      const Event reason = event_for(smtp::Answer{});
      if (next && next->job != job) put_back(next->job, reason);
      settle_rest(*job, reason);
      finish(job);
      co_return;
    }
    ++answered_;
    const bool more_of_this = !job->pending.empty() || (next && next->job == job);
    if (!more_of_this) finish(job);
    if (!next && !job->pending.empty()) next = make_round(job);
    round = std::move(next);
  }
}

/// False: the connection was of no use any more, and the work is out of our hands.
Task<bool> SmtpRun::send_envelope(Round& round, bool already_queued) {
  smtp::ClientSession& session = *connected_.session;
  smtp::Transaction& transaction = round.transaction;
  if (already_queued) {
    co_await session.read_envelope(transaction);
  } else {
    co_await session.envelope(transaction);
  }
  const smtp::Answer& mail = transaction.mail;
  const bool hung_up = mail.replied() ? mail.reply.code == 421 : mail.cause == Cause::network;
  if (hung_up && answered_ != 0 && round.job->untouched()) {
    // The peer ended a connection that was in use: it says nothing about this message, and on a
    // fresh connection the same would be a deferral, so this cannot go on for ever.
    session.close();
    connected_.session.reset();
    const std::shared_ptr<Job> job = round.job;
    put_back(job, event_of(mail));
    co_return false;
  }
  settle_envelope(round);
  co_return true;
}

void SmtpRun::settle_envelope(Round& round) {
  Job& job = *round.job;
  const smtp::Transaction& transaction = round.transaction;
  const auto remember = [this](const smtp::Answer& answer) {
    if (answer.replied() && answer.reply.code == 421) last_word_ = answer;
  };
  remember(transaction.mail);
  for (const smtp::Answer& answer : transaction.recipient) remember(answer);
  remember(transaction.data);

  if (!transaction.mail.positive()) {
    for (const std::size_t place : round.places) settle(job, place, event_for(transaction.mail));
    return;
  }
  const std::size_t accepted = transaction.accepted();
  std::vector<std::size_t> again;
  for (std::size_t i = 0; i < round.places.size(); ++i) {
    const smtp::Answer& answer = transaction.recipient[i];
    if (answer.positive()) {
      if (!transaction.data_accepted()) settle(job, round.places[i], event_for(transaction.data));
      continue;
    }
    const Event event = event_for(answer);
    if (accepted != 0 && transaction.data_accepted() && classify(event).another_transaction) {
      again.push_back(round.places[i]);
    } else {
      settle(job, round.places[i], event);
    }
  }
  if (!again.empty()) {
    recipients_max_ = std::min(recipients_max_, accepted);
    job.pending.insert(job.pending.begin(), again.begin(), again.end());
  }
}

void SmtpRun::settle_final(Round& round) {
  Job& job = *round.job;
  const smtp::Transaction& transaction = round.transaction;
  std::size_t order = 0;
  for (std::size_t i = 0; i < round.places.size(); ++i) {
    if (!transaction.recipient[i].positive()) continue;
    Event event;
    if (!transaction.dot_written) {
      event = event_for(transaction.content);
    } else {
      const smtp::Answer& answer = transaction.final_answers.at(order++);
      if (answer.replied() && answer.reply.code == 421) last_word_ = answer;
      event = event_for(answer);
      event.dot_written = !answer.replied();
    }
    settle(job, round.places[i], event);
  }
  job.behind_dot.clear();
}

// ---- outcomes --------------------------------------------------------------------------------

/// The event for an answer; for one that never came, what ended the session stands in.
Event SmtpRun::event_for(const smtp::Answer& answer) const {
  Event event = event_of(answer);
  if (answer.cause == Cause::missing) {
    if (last_word_.replied()) {
      event = event_of(last_word_);
    } else {
      event = own_event(answer.stage, Cause::network, 0, {}, "the session ended");
    }
  }
  event.first_message = answered_ == 0;
  return event;
}

void SmtpRun::settle(Job& job, std::size_t place, Event event) {
  Verdict verdict = classify(event);
  const bool delays = verdict.delay_destination;
  Disposition disposition = to_disposition(std::move(verdict), event);
  disposition.host = connected_.host.name;
  disposition.address = connected_.address;
  disposition.tls = connected_.tls;
  disposition.peer_has_dsn = disposition.outcome == Outcome::delivered && !options_.lmtp &&
                             connected_.session && connected_.session->offered().dsn;
  if (delays && !report.trouble) report.trouble = disposition;
  job.results.at(place) = std::move(disposition);
}

void SmtpRun::settle_rest(Job& job, const Event& event) {
  for (std::size_t place = 0; place < job.results.size(); ++place) {
    if (!job.results[place]) settle(job, place, event);
  }
  job.pending.clear();
}

void SmtpRun::finish(const std::shared_ptr<Job>& job) {
  std::vector<Disposition> dispositions;
  dispositions.reserve(job->results.size());
  for (std::size_t place = 0; place < job->results.size(); ++place) {
    MANSIO_ASSERT(job->results[place].has_value());
    log_attempt(job->work->message(), job->work->recipients()[place], job->work->attempt(),
                *job->results[place]);
    dispositions.push_back(std::move(*job->results[place]));
  }
  if (connected_.session) ++report.messages;
  std::erase(jobs_, job);
  source_.finished(std::move(job->work), std::move(dispositions));
}

void SmtpRun::put_back(const std::shared_ptr<Job>& job, const Event& reason) {
  if (!job->untouched()) {
    settle_rest(*job, reason);
    finish(job);
    return;
  }
  std::erase(jobs_, job);
  source_.put_back(std::move(job->work));
}

void SmtpRun::abandon(bool stopped, const std::string& why) {
  const std::vector<std::shared_ptr<Job>> left = jobs_;
  for (const std::shared_ptr<Job>& job : left) {
    for (const std::size_t place : job->behind_dot) {
      Event event = local_event("no reply to the end of the content: " + why);
      event.stage = Stage::final_dot;
      event.dot_written = true;
      if (!job->results[place]) settle(*job, place, event);
    }
    job->behind_dot.clear();
    if (stopped) {
      put_back(job, local_event(why));
    } else {
      settle_rest(*job, local_event(why));
      finish(job);
    }
  }
  if (connected_.session) connected_.session->close();
}

}  // namespace mansio::delivery

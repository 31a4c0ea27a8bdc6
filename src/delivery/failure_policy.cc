#include "delivery/failure_policy.h"

#include <utility>

namespace mansio::delivery {
namespace {

bool before_transaction(Stage stage) {
  return stage == Stage::route || stage == Stage::connect || stage == Stage::greeting ||
         stage == Stage::ehlo || stage == Stage::starttls || stage == Stage::auth;
}

bool is_positive(const Event& event) {
  if (event.stage == Stage::data) return event.reply.code == 354;
  return event.reply.positive();
}

/// Fills in the code that stands for a cause where no peer spoke.
void own_reply(Reply& reply, std::uint16_t code, EnhancedCode enhanced) {
  if (reply.code == 0) reply.code = code;
  if (!reply.enhanced.present()) reply.enhanced = enhanced;
}

/// Enhanced codes with which 452 and 552 say that the recipient fits into another transaction.
bool means_too_many_recipients(const Reply& reply) {
  if (reply.code != 452 && reply.code != 552) return false;
  return !reply.enhanced.present() || (reply.enhanced.subject == 5 && reply.enhanced.detail == 3);
}

/// 5yz that speak of the state of the dialogue or of our credentials, not of the message.
bool blames_the_session(std::uint16_t code) {
  return code == 503 || code == 530 || code == 535 || code == 538;
}

Verdict classify_reply(const Event& event) {
  Verdict verdict;
  verdict.reply = event.reply;
  const Reply& reply = event.reply;
  const Stage stage = event.stage;

  if (is_positive(event)) {
    verdict.outcome = Outcome::delivered;
    verdict.connection_reusable = true;
    return verdict;
  }
  if (reply.code == 421) {
    verdict.try_next_host = before_transaction(stage) && event.more_hosts;
    verdict.delay_destination = before_transaction(stage) || event.first_message;
    return verdict;
  }
  if (before_transaction(stage)) {
    verdict.try_next_host = event.more_hosts;
    verdict.delay_destination = true;
    if (stage == Stage::greeting && (reply.code == 521 || reply.code == 556)) {
      verdict.outcome = Outcome::failed;
    }
    // Refused credentials are for us to put right; the sender can do nothing about them.
    if (stage == Stage::auth && reply.permanent()) verdict.counts_as_try = false;
    return verdict;
  }
  if (reply.temporary() || reply.permanent()) {
    verdict.connection_reusable = stage != Stage::body;
    verdict.another_transaction = stage == Stage::rcpt && means_too_many_recipients(reply);
    if (reply.permanent() && !verdict.another_transaction && !blames_the_session(reply.code)) {
      verdict.outcome = Outcome::failed;
    }
    return verdict;
  }
  // 2yz to DATA, 3yz to anything else: not an answer to what was asked.
  verdict.in_doubt = event.dot_written;
  return verdict;
}

}  // namespace

Verdict classify(const Event& event) {
  if (event.cause == Cause::reply) return classify_reply(event);

  Verdict verdict;
  verdict.reply = event.reply;
  const bool early = before_transaction(event.stage);
  verdict.try_next_host = early && event.more_hosts;
  verdict.delay_destination = early;
  verdict.in_doubt = event.dot_written && event.cause != Cause::local;
  switch (event.cause) {
    case Cause::network:
      own_reply(verdict.reply, 451, {4, 4, static_cast<std::uint16_t>(early ? 1 : 2)});
      break;
    case Cause::timeout:
      own_reply(verdict.reply, 451, {4, 4, static_cast<std::uint16_t>(early ? 1 : 2)});
      // A host that does not answer the first command after a good opening is not well either.
      verdict.delay_destination = early || (event.first_message && event.stage == Stage::mail);
      break;
    case Cause::protocol:
      own_reply(verdict.reply, 451, {4, 5, 0});
      verdict.delay_destination = early || event.first_message;
      break;
    case Cause::dns:
      own_reply(verdict.reply, 451, {4, 4, 3});
      if (verdict.reply.permanent()) {
        verdict.outcome = Outcome::failed;
        verdict.delay_destination = false;  // nothing is to be waited for
      } else {
        verdict.counts_as_try = false;
      }
      break;
    case Cause::tls:
      own_reply(verdict.reply, 451, {4, 7, 5});
      break;
    case Cause::policy:
      own_reply(verdict.reply, 451, {4, 7, 0});
      break;
    case Cause::extension:
      own_reply(verdict.reply, 554, {5, 6, 3});
      verdict.outcome = verdict.reply.permanent() ? Outcome::failed : Outcome::deferred;
      verdict.connection_reusable = true;
      break;
    case Cause::local:
    case Cause::missing:
    case Cause::reply:
    case Cause::operator_:
    case Cause::lifetime:
    case Cause::tries:
      own_reply(verdict.reply, 451, {4, 3, 0});
      verdict.counts_as_try = false;
      verdict.in_doubt = event.dot_written;
      break;
  }
  // Without a reply to the final dot the try did happen, unless it was us who ended it.
  if (verdict.in_doubt && event.cause != Cause::local) verdict.counts_as_try = true;
  return verdict;
}

bool outweighs(const Verdict& candidate, const Verdict& current) {
  return candidate.outcome == Outcome::deferred || current.outcome == Outcome::failed;
}

Disposition to_disposition(Verdict verdict, const Event& event) {
  Disposition disposition;
  disposition.outcome = verdict.outcome;
  disposition.reply = std::move(verdict.reply);
  disposition.stage = event.stage;
  disposition.cause = event.cause;
  disposition.counts_as_try = verdict.counts_as_try;
  disposition.in_doubt = verdict.in_doubt;
  return disposition;
}

}  // namespace mansio::delivery

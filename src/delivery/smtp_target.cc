#include "delivery/smtp_target.h"

#include <utility>

#include "delivery/body_sources.h"
#include "delivery/message_form.h"

namespace mansio::delivery {
namespace {

Event refusal(Cause cause, std::uint16_t code, EnhancedCode enhanced, std::string text) {
  Event event;
  event.stage = cause == Cause::local ? Stage::local : Stage::mail;
  event.cause = cause;
  event.reply.code = code;
  event.reply.enhanced = enhanced;
  event.reply.text = std::move(text);
  return event;
}

class SmtpDelivery final : public Delivery {
 public:
  SmtpDelivery(Connected connected, const Message& message, std::uint64_t conversion_max)
      : connected_(std::move(connected)), message_(message) {
    envelope_ = message.envelope;
    envelope_.recipients.clear();
    transaction_.envelope = &envelope_;
    form_ = form_for(message, session().offered(), conversion_max);
    transaction_.facts = form_.facts;
  }

  /// MAIL, unless it is known to be useless.
  Task<Disposition> begin() {
    const smtp::Extensions& offered = session().offered();
    const std::uint64_t size = transaction_.facts.size;
    if (!smtp::is_safe_sender(envelope_)) {
      co_return outcome(
          refusal(Cause::local, 451, {4, 3, 0}, "the stored envelope holds control characters"));
    }
    if (form_.failure) co_return outcome(*form_.failure);
    if (offered.size && offered.size_max != 0 && size > offered.size_max) {
      co_return outcome(refusal(Cause::extension, 552, {5, 3, 4},
                                "the message has " + std::to_string(size) +
                                    " octets, the host takes at most " +
                                    std::to_string(offered.size_max)));
    }
    for (const Recipient& recipient : message_.envelope.recipients) {
      if (offered.smtputf8 && recipient.address.needs_utf8()) transaction_.facts.smtputf8 = true;
    }
    const smtp::Answer answer = co_await session().mail(transaction_);
    co_return outcome(event_of(answer));
  }

  Task<Disposition> add_recipient(const Recipient& recipient) override {
    if (!smtp::is_safe_recipient(recipient)) {
      co_return outcome(
          refusal(Cause::local, 451, {4, 3, 0}, "the stored envelope holds control characters"));
    }
    if (!can_be_named(recipient.address, session().offered())) {
      co_return outcome(lacks_smtputf8("this address"));
    }
    const std::size_t index = envelope_.recipients.size();
    envelope_.recipients.push_back(recipient);
    transaction_.recipients.push_back(static_cast<std::uint32_t>(index));
    const smtp::Answer answer = co_await session().recipient(transaction_, index);
    co_return outcome(event_of(answer));
  }

  bool has_status() const override { return connected_.session->lmtp(); }

  Task<Disposition> body(ContentReader& content) override {
    std::vector<Disposition> all = co_await send(content);
    co_return all.front();
  }

  Task<std::vector<Disposition>> body_with_status(ContentReader& content) override {
    return send(content);
  }

  Task<Disposition> commit() override {
    co_await session().quit();
    Disposition disposition;
    disposition.outcome = Outcome::delivered;
    co_return disposition;
  }

  Task<void> abort() override { co_await session().quit(); }

 private:
  smtp::ClientSession& session() { return *connected_.session; }

  Disposition outcome(const Event& event) const {
    Disposition disposition = to_disposition(classify(event), event);
    disposition.host = connected_.host.name;
    disposition.address = connected_.address;
    disposition.tls = connected_.tls;
    disposition.peer_has_dsn = disposition.outcome == Outcome::delivered &&
                               !connected_.session->lmtp() && connected_.session->offered().dsn;
    return disposition;
  }

  /// One disposition for each accepted recipient; equal ones unless the peer speaks LMTP.
  Task<std::vector<Disposition>> send(ContentReader& content) {
    const std::size_t accepted = transaction_.accepted();
    if (form_.needs_conversion()) co_await convert(form_, message_, content);
    if (form_.failure) co_return std::vector<Disposition>(accepted, outcome(*form_.failure));
    std::unique_ptr<smtp::BodySource> source = form_.converted
                                                   ? std::make_unique<MemoryBody>(form_.converted)
                                                   : make_body(content, form_.facts.size);
    co_await session().data(transaction_);
    if (!transaction_.data_accepted()) {
      co_return std::vector<Disposition>(accepted, outcome(event_of(transaction_.data)));
    }
    const std::function<void()> nothing;
    co_await session().content(transaction_, *source, nothing);
    if (!transaction_.dot_written) {
      co_return std::vector<Disposition>(accepted, outcome(event_of(transaction_.content)));
    }
    co_await session().final_answers(transaction_);
    std::vector<Disposition> result;
    for (const smtp::Answer& answer : transaction_.final_answers) {
      Event event = event_of(answer);
      event.dot_written = !answer.replied();
      result.push_back(outcome(event));
    }
    co_return result;
  }

  Connected connected_;
  const Message& message_;
  MessageForm form_;
  Envelope envelope_;  // as the session sees it: the recipients in the order of add_recipient()
  smtp::Transaction transaction_;
};

}  // namespace

SmtpTarget::SmtpTarget(SmtpChannelOptions options, std::string destination, Binding binding,
                       std::shared_ptr<RouteSource> routes, Connector& connector, Clock& clock,
                       std::shared_ptr<TlsContext> tls, std::shared_ptr<TlsContext> tls_verifying)
    : options_(std::move(options)),
      destination_(std::move(destination)),
      binding_(std::move(binding)),
      routes_(std::move(routes)) {
  ports_.connector = &connector;
  ports_.clock = &clock;
  ports_.hosts = &hosts_;
  ports_.tls = std::move(tls);
  ports_.tls_verifying = std::move(tls_verifying);
}

Task<Started> SmtpTarget::start(const Message& message) {
  Started started;
  LaneKey lane;
  lane.destination = destination_;
  auto routing = routes_->route(lane);
  RouteResult found = co_await std::move(routing);
  if (found.failure) {
    started.disposition = *found.failure;
    co_return started;
  }
  ConnectionOptions options;
  options.lmtp = options_.lmtp;
  options.ehlo = binding_.ehlo;
  options.source = binding_.source;
  options.timeouts = options_.timeouts;
  Connected connected =
      co_await open_connection(ports_, std::move(options), std::move(found.route));
  if (!connected.session) {
    started.disposition = connected.trouble;
    co_return started;
  }
  auto delivery =
      std::make_unique<SmtpDelivery>(std::move(connected), message, options_.conversion_max);
  Disposition begun = co_await delivery->begin();
  if (begun.outcome == Outcome::delivered) {
    started.delivery = std::move(delivery);
  } else {
    co_await delivery->abort();
    started.disposition = std::move(begun);
  }
  co_return started;
}

}  // namespace mansio::delivery

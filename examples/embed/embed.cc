// A program with a mail queue inside: a target of its own takes what is due, refuses one recipient
// for now and another for good, and the queue does the rest. Everything is in memory here; a
// file spool (mansio/spool.hpp) makes it durable.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>
#include <cstdio>
#include <memory>
#include <set>
#include <string>

#include "delivery/target_channel.h"
#include "mansio/clock.hpp"
#include "mansio/queue.hpp"
#include "mansio/spool.hpp"
#include "mansio/target.hpp"

namespace {

using namespace mansio;

Disposition answer(Outcome outcome, Reply reply) {
  Disposition disposition;
  disposition.outcome = outcome;
  disposition.reply = std::move(reply);
  disposition.stage = Stage::rcpt;
  return disposition;
}

/// Prints what it takes. Recipients at "later.example" are busy once, "nobody" does not exist.
class Printer final : public Target {
 public:
  Task<Started> start(const Message& message) override {
    Started started;
    started.delivery = std::make_unique<Print>(*this, message);
    co_return started;
  }

 private:
  class Print final : public Delivery {
   public:
    Print(Printer& printer, const Message& message) : printer_(printer), message_(message) {}

    Task<Disposition> add_recipient(const Recipient& recipient) override {
      const Address& address = recipient.address;
      if (address.local == "nobody") {
        co_return answer(Outcome::failed, {550, {5, 1, 1}, "no such user"});
      }
      if (address.domain == "later.example" && printer_.busy_.insert(address.to_string()).second) {
        co_return answer(Outcome::deferred, {450, {4, 2, 1}, "busy, come back"});
      }
      accepted_.push_back(address.to_string());
      co_return answer(Outcome::delivered, {250, {2, 1, 5}, "ok"});
    }

    Task<Disposition> body(ContentReader&) override {
      co_return answer(Outcome::delivered, {250, {2, 0, 0}, "ok"});
    }

    Task<Disposition> commit() override {
      for (const std::string& address : accepted_) {
        const char* what = message_.is_notice ? "notice" : "mail";
        std::printf("%s for %s\n", what, address.c_str());
      }
      co_return answer(Outcome::delivered, {250, {2, 0, 0}, "printed"});
    }

    Task<void> abort() override { co_return; }

   private:
    Printer& printer_;
    const Message& message_;
    std::vector<std::string> accepted_;
  };

  std::set<std::string> busy_;  // only the one loop of this program touches it
};

Submission submission(const std::string& sender, std::initializer_list<const char*> recipients) {
  Submission made;
  made.envelope.reverse_path = *Address::parse(sender, false);
  for (const char* text : recipients) {
    Recipient recipient;
    recipient.address = *Address::parse(text, false);
    recipient.original = recipient.address;
    made.envelope.recipients.push_back(recipient);
  }
  made.content.octets = std::make_shared<const std::string>("Subject: hello\r\n\r\nIt works.\r\n");
  ContentScanner scanner;
  scanner.feed(*made.content.octets);
  made.content.facts = scanner.finish();
  return made;
}

}  // namespace

int main() {
  auto settings = std::make_shared<settings::Settings>();
  settings->server.hostname = "embedded.example.org";
  settings->retry.min = settings->retry.max = std::chrono::milliseconds(50);
  settings::Route route;
  route.pattern = "*";
  route.channel = "printer";
  settings->routes.push_back(route);

  const auto clock = make_system_clock();
  const auto spool = spool::make_memory_spool({});
  Loops loops(1);
  loops.start();
  Queue queue({*spool,
               *clock,
               loops.all(),
               [] { return make_system_random(); },
               {{"printer", std::make_shared<delivery::TargetChannel>(std::make_shared<Printer>(),
                                                                      "printer")}}},
              settings);
  queue.start();

  auto admitting = queue.admit(submission(
      "me@example.org", {"you@example.com", "them@later.example", "nobody@example.net"}));
  const Admitted admitted =
      boost::asio::co_spawn(loops.at(0), std::move(admitting), boost::asio::use_future).get();
  std::printf("queued: %s\n", spool::to_text(admitted.status));

  // A real program would do something else meanwhile.
  while (queue.totals().queued > 0) {
    boost::asio::co_spawn(loops.at(0), sleep_for(*clock, std::chrono::milliseconds(10)),
                          boost::asio::use_future)
        .get();
  }
  boost::asio::co_spawn(loops.at(0), queue.stop(clock->steady_now() + std::chrono::seconds(1)),
                        boost::asio::use_future)
      .get();
  const spool::Totals totals = queue.totals();
  std::printf("delivered %llu, failed %llu\n", static_cast<unsigned long long>(totals.delivered),
              static_cast<unsigned long long>(totals.failed));
  spool->stop();
  loops.stop();
  return totals.balanced() && totals.delivered == 3 && totals.failed == 1 ? 0 : 1;
}

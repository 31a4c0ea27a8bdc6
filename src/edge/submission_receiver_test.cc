#include "edge/submission_receiver.h"

#include <gtest/gtest.h>

#include "testing/run.h"

namespace mansio::edge {
namespace {

struct Taken {
  std::string octets;
  bool finished = false;
  std::optional<Reply> refusal;
};

class Taking final : public smtp::ContentReceiver {
 public:
  explicit Taking(Taken& taken) : taken_(taken) {}

  Task<std::optional<Reply>> write(std::string_view octets) override {
    taken_.octets += octets;
    co_return taken_.refusal;
  }

  Task<smtp::ContentVerdict> finish() override {
    taken_.finished = true;
    const std::vector<Reply> replies(1, Reply{250, {2, 0, 0}, "Ok"});
    smtp::ContentVerdict verdict = replies;
    co_return verdict;
  }

 private:
  Taken& taken_;
};

Envelope envelope(const std::string& sender) {
  Envelope result;
  if (!sender.empty()) result.reverse_path = *Address::parse(sender, false);
  return result;
}

const std::string added =
    "From: ann@example.org\r\nDate: Tue, 14 Nov 2023 22:13:20 +0000\r\n"
    "Message-ID: <X@mx.example>\r\n";

std::string through(const std::string& text, std::size_t step, Taken& taken,
                    std::uint64_t header_max = 1 << 20) {
  const Time now(std::chrono::seconds(1'700'000'000));
  MissingFields missing = missing_fields(envelope("ann@example.org"), "mx.example", "X", now);
  SubmissionReceiver receiver(std::make_unique<Taking>(taken), std::move(missing), header_max);
  boost::asio::io_context context;
  for (std::size_t at = 0; at < text.size(); at += step) {
    auto writing = receiver.write(std::string_view(text).substr(at, step));
    fake::run(context, std::move(writing));
  }
  auto finishing = receiver.finish();
  fake::run(context, std::move(finishing));
  return taken.octets;
}

std::string through(const std::string& text, std::size_t step) {
  Taken taken;
  const std::string result = through(text, step, taken);
  EXPECT_TRUE(taken.finished);
  return result;
}

TEST(SubmissionReceiver, CompletesHeadersHoweverTheyComeIn_R88) {
  for (const std::size_t step : {1u, 2u, 3u, 7u, 1000u}) {
    EXPECT_EQ(through("Subject: x\nTo: b@c\n\nbody\n.\nlast", step),
              "Subject: x\r\nTo: b@c\r\n" + added + "\r\nbody\r\n.\r\nlast\r\n");
    EXPECT_EQ(through("just text\n", step), added + "\r\njust text\r\n");
    EXPECT_EQ(through("\nbody", step), added + "\r\nbody\r\n");
    EXPECT_EQ(through("", step), added + "\r\n");
    const std::string whole = "From: a\r\nDate: b\r\nMessage-ID: c\r\n\r\n\r\nd\r\n";
    EXPECT_EQ(through(whole, step), whole);
  }
}

TEST(SubmissionReceiver, LeavesAnEndlessHeaderToTheReceiver) {
  Taken taken;
  std::string text;
  for (int i = 0; i < 100; ++i) text += "X-Field: value\r\n";
  EXPECT_EQ(through(text, 50, taken, 1000), text);
}

TEST(SubmissionReceiver, SaysWhatTheReceiverSaid) {
  Taken taken;
  taken.refusal = Reply{552, {5, 3, 4}, "too big"};
  through("text\n", 100, taken);
  EXPECT_FALSE(taken.finished);
}

TEST(SubmissionReceiver, GivesMailOfNobodyASender) {
  EXPECT_EQ(missing_fields(envelope(""), "mx.example", "X", Time{}).from, "postmaster@mx.example");
  EXPECT_EQ(local_user(1000), "uid:1000");
}

}  // namespace
}  // namespace mansio::edge

#include "edge/receiver.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "base/checksum.h"
#include "edge/fake_admission.h"
#include "testing/run.h"

namespace mansio::edge {
namespace {

class ReceiverTest : public ::testing::Test {
 protected:
  void make() {
    Envelope envelope;
    envelope.origin.protocol = options_.lmtp ? "LMTP" : "ESMTP";
    envelope.origin.client_name = "client.example";
    envelope.origin.client_address = "192.0.2.1";
    for (std::size_t i = 0; i < recipients_; ++i) {
      Recipient recipient;
      recipient.address = {"r" + std::to_string(i), "y.example"};
      envelope.recipients.push_back(recipient);
    }
    options_.hostname = hostname_;
    envelope.body = body_;
    receiver_ =
        std::make_unique<Receiver>(admission_, statistics_, clock_, options_, std::move(envelope));
  }

  std::optional<Reply> write(std::string_view octets) {
    auto writing = receiver_->write(octets);
    return fake::run(context_, clock_, std::move(writing));
  }

  smtp::ContentVerdict finish() {
    auto finishing = receiver_->finish();
    auto verdict = fake::run(context_, clock_, std::move(finishing));
    receiver_.reset();
    return verdict;
  }

  std::string first_reply(const smtp::ContentVerdict& verdict) {
    if (std::holds_alternative<smtp::NoReply>(verdict)) return "none";
    return std::get<std::vector<Reply>>(verdict).at(0).to_string();
  }

  fake::VirtualClock clock_;
  boost::asio::io_context context_;
  test::FakeAdmission admission_;
  EdgeStatistics statistics_;
  ReceiverOptions options_;
  std::string hostname_ = "mx.example";
  std::size_t recipients_ = 1;
  BodyType body_ = BodyType::seven_bit;
  std::unique_ptr<Receiver> receiver_;
};

TEST_F(ReceiverTest, PutsTheReceivedLineOnTopAndAdmits) {
  make();
  EXPECT_FALSE(write("Subject: x\r\n\r\nbo"));
  EXPECT_FALSE(write("dy\r\n"));
  const auto verdict = finish();
  ASSERT_EQ(admission_.submissions.size(), 1u);
  const Submission& submission = admission_.submissions[0];
  EXPECT_EQ(first_reply(verdict), "250 2.0.0 Ok: queued as " + submission.id.to_string());
  EXPECT_EQ(submission.content.id, submission.id);
  ASSERT_TRUE(submission.content.octets);
  const std::string& octets = *submission.content.octets;
  EXPECT_TRUE(octets.starts_with("Received: from client.example ([192.0.2.1])\r\n"));
  EXPECT_NE(octets.find("id " + submission.id.to_string()), std::string::npos);
  EXPECT_TRUE(octets.ends_with("+0000\r\nSubject: x\r\n\r\nbody\r\n"));
  EXPECT_EQ(submission.content.facts.size, octets.size());
  EXPECT_EQ(submission.content.facts.checksum, crc32c(octets));
  EXPECT_EQ(statistics_.messages_accepted, 1u);
  EXPECT_EQ(statistics_.octets_accepted, octets.size());
  EXPECT_EQ(admission_.reserved, 0u);
}

TEST_F(ReceiverTest, MapsWhatTheQueueSaysToReplies) {
  const std::vector<std::pair<spool::Status, std::string>> expected = {
      {spool::Status::full, "452 4.3.1"},
      {spool::Status::refused, "451 4.3.0"},
      {spool::Status::corrupt, "451 4.3.0"},
      {spool::Status::unknown, "none"}};
  for (const auto& [status, reply] : expected) {
    admission_.status = status;
    make();
    write("x\r\n");
    EXPECT_TRUE(first_reply(finish()).starts_with(reply)) << spool::to_text(status);
  }
  EXPECT_EQ(statistics_.outcomes_unknown, 1u);
  EXPECT_EQ(admission_.reserved, 0u);
}

TEST_F(ReceiverTest, RepeatsTheReplyForEachRecipientOfLmtp) {
  options_.lmtp = true;
  recipients_ = 3;
  make();
  write("x\r\n");
  EXPECT_EQ(std::get<std::vector<Reply>>(finish()).size(), 3u);
  EXPECT_EQ(statistics_.recipients_accepted, 3u);
}

TEST_F(ReceiverTest, StreamsWhatIsTooBigForMemory) {
  options_.content_in_memory = 100000;
  make();
  std::string content = "Subject: big\r\n\r\n";
  EXPECT_FALSE(write(content));
  const std::string line = std::string(76, 'x') + "\r\n";
  for (int i = 0; i < 100; ++i) {
    std::string piece;
    for (int j = 0; j < 100; ++j) piece += line;
    ASSERT_FALSE(write(piece));
    content += piece;
  }
  EXPECT_EQ(first_reply(finish()).substr(0, 9), "250 2.0.0");
  const Submission& submission = admission_.submissions.at(0);
  EXPECT_FALSE(submission.content.octets);
  std::string streamed;
  for (const auto& piece : admission_.streamed.at(submission.content.id)) streamed += piece;
  EXPECT_TRUE(streamed.ends_with("+0000\r\n" + content));
  EXPECT_EQ(submission.content.facts.size, streamed.size());
  EXPECT_EQ(submission.content.facts.checksum, crc32c(streamed));
  EXPECT_TRUE(admission_.sealed.at(submission.content.id));
  EXPECT_EQ(statistics_.content_streamed, 1u);
  EXPECT_EQ(admission_.reserved, 0u);
}

TEST_F(ReceiverTest, StreamsWhenTheMemoryBudgetIsUsedUp) {
  admission_.memory = 0;
  make();
  EXPECT_FALSE(write("x\r\n"));
  EXPECT_EQ(first_reply(finish()).substr(0, 9), "250 2.0.0");
  EXPECT_FALSE(admission_.submissions.at(0).content.octets);
}

TEST_F(ReceiverTest, CountsMemoryUntilAdmitHasCompleted) {
  std::string lines;
  while (lines.size() < 50000) lines += std::string(498, 'x') + "\r\n";
  make();
  write(lines);
  EXPECT_GE(admission_.reserved, 50000u);
  finish();
  EXPECT_GE(admission_.reserved_at_admit, 50000u);
  EXPECT_EQ(admission_.reserved, 0u);
  make();
  write(lines);
  receiver_.reset();  // the connection was lost
  EXPECT_EQ(admission_.reserved, 0u);
}

TEST_F(ReceiverTest, HoldsTheClientBackWhileAPieceIsBeingWritten) {
  options_.content_in_memory = 0;
  admission_.hold_writes = true;
  make();
  EXPECT_FALSE(write("one\r\n"));  // goes on while the first piece is under way
  std::optional<std::optional<Reply>> second;
  auto writing = [&]() -> Task<void> {
    auto result = co_await receiver_->write("two\r\n");
    second.emplace(std::move(result));
  };
  boost::asio::co_spawn(context_, writing(), boost::asio::detached);
  fake::run_until_idle(context_);
  EXPECT_FALSE(second);
  EXPECT_EQ(admission_.streamed.begin()->second.size(), 1u);
  admission_.answer_write();
  fake::run_until_idle(context_);
  EXPECT_TRUE(second);
  EXPECT_EQ(admission_.streamed.begin()->second.size(), 2u);
  receiver_.reset();  // lost while the second piece is under way
  admission_.answer_write();
  fake::run_until_idle(context_);
}

TEST_F(ReceiverTest, RefusesTemporarilyWhenAPieceCannotBeWritten) {
  options_.content_in_memory = 0;
  admission_.write_result = spool::make_error_code(spool::Errc::io);
  make();
  EXPECT_FALSE(write("one\r\n"));
  const auto refusal = write("two\r\n");
  ASSERT_TRUE(refusal);
  EXPECT_EQ(refusal->to_string().substr(0, 9), "451 4.3.0");
  make();
  EXPECT_FALSE(write("one\r\n"));
  EXPECT_EQ(first_reply(finish()).substr(0, 9), "451 4.3.0");
  EXPECT_TRUE(admission_.submissions.empty());
}

TEST_F(ReceiverTest, ReencodesWhatHasLongLinesBeforeItIsStored_I17) {
  make();
  EXPECT_FALSE(write("Subject: x\r\n\r\n" + std::string(999, '=') + "\r\n"));
  EXPECT_EQ(first_reply(finish()).substr(0, 9), "250 2.0.0");
  const Submission& submission = admission_.submissions.at(0);
  const std::string& octets = *submission.content.octets;
  EXPECT_TRUE(octets.starts_with("Received: from client.example"));
  EXPECT_NE(octets.find("Subject: x\r\nMIME-Version: 1.0\r\n"
                        "Content-Transfer-Encoding: quoted-printable\r\n\r\n=3D=3D"),
            std::string::npos);
  EXPECT_LE(submission.content.facts.longest_line, 76u);
  EXPECT_EQ(submission.content.facts.size, octets.size());
  EXPECT_EQ(submission.content.facts.checksum, crc32c(octets));
  EXPECT_EQ(submission.content.facts.subject, "x");
  EXPECT_EQ(statistics_.octets_accepted, octets.size());
  EXPECT_EQ(admission_.reserved, 0u);
}

TEST_F(ReceiverTest, StreamsWhatGrowsTooLargeByReencoding_I17) {
  options_.content_in_memory = 2000;
  make();
  EXPECT_FALSE(write("Subject: x\r\n\r\n" + std::string(1500, '=') + "\r\n"));
  EXPECT_EQ(first_reply(finish()).substr(0, 9), "250 2.0.0");
  const Submission& submission = admission_.submissions.at(0);
  EXPECT_FALSE(submission.content.octets);
  const auto& pieces = admission_.streamed.at(submission.content.id);
  ASSERT_EQ(pieces.size(), 1u);
  EXPECT_GT(pieces[0].size(), 4500u);
  EXPECT_EQ(submission.content.facts.checksum, crc32c(pieces[0]));
  EXPECT_TRUE(admission_.sealed.at(submission.content.id));
  EXPECT_EQ(admission_.reserved, 0u);
}

TEST_F(ReceiverTest, RefusesLongLinesThatCannotBeReencoded_I17) {
  const std::string long_line = std::string(999, 'x') + "\r\n";
  make();
  EXPECT_FALSE(write("DKIM-Signature: v=1\r\n\r\n" + long_line));
  EXPECT_EQ(
      first_reply(finish()),
      "554 5.6.0 Message holds a line of more than 998 octets and cannot be re-encoded: it is "
      "signed");
  options_.content_in_memory = 50000;
  make();
  EXPECT_FALSE(write("\r\n" + std::string(60000, 'x') + "\r\n"));
  const auto refusal = write("x\r\n");  // early, when the line has ended
  ASSERT_TRUE(refusal);
  EXPECT_EQ(refusal->to_string(),
            "554 5.6.0 Message holds a line of more than 998 octets and is too large to be "
            "re-encoded");
  make();
  EXPECT_FALSE(write("\r\n" + std::string(60000, 'x')));
  EXPECT_EQ(first_reply(finish()).substr(0, 9), "554 5.6.0");
  admission_.memory = 0;
  make();
  EXPECT_FALSE(write("\r\n" + long_line));
  EXPECT_EQ(first_reply(finish()).substr(0, 9), "452 4.3.1");
  EXPECT_TRUE(admission_.submissions.empty());
}

TEST_F(ReceiverTest, KeepsBinaryContentOctetForOctet_R48) {
  body_ = BodyType::binary_mime;
  for (const std::string& body : {std::string(5000, 'x') + "\r\n", std::string("a\nb"),
                                  std::string("a\0b\r\n", 5), std::string("a\r")}) {
    make();
    EXPECT_FALSE(write("Subject: x\r\n\r\n"));
    EXPECT_FALSE(write(body));
    EXPECT_TRUE(first_reply(finish()).starts_with("250 2.0.0"));
    const Submission& submission = admission_.submissions.back();
    EXPECT_TRUE(submission.content.octets->ends_with("Subject: x\r\n\r\n" + body));
    EXPECT_EQ(submission.envelope.body, BodyType::binary_mime);
  }
}

TEST_F(ReceiverTest, StreamsBinaryContentWhateverItsLines_R48) {
  body_ = BodyType::binary_mime;
  options_.content_in_memory = 1000;
  make();
  EXPECT_FALSE(write("Subject: x\r\n\r\n"));
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(write(std::string(5000, 'x')));
  EXPECT_TRUE(first_reply(finish()).starts_with("250 2.0.0"));
  EXPECT_EQ(admission_.submissions.back().envelope.body, BodyType::binary_mime);
}

TEST_F(ReceiverTest, KnowsBinaryContentThatIsTextAfterAll_R48) {
  body_ = BodyType::binary_mime;
  make();
  EXPECT_FALSE(write("Subject: x\r\n\r"));
  EXPECT_FALSE(write("\n\xc3\xbc\r\n"));
  EXPECT_TRUE(first_reply(finish()).starts_with("250 2.0.0"));
  EXPECT_EQ(admission_.submissions.back().envelope.body, BodyType::eight_bit_mime);
}

TEST_F(ReceiverTest, HoldsBinaryContentToTheLimitsOfItsHeader) {
  body_ = BodyType::binary_mime;
  options_.header = 2000;
  make();
  write("A: " + std::string(3000, 'x'));
  EXPECT_TRUE(first_reply(finish()).starts_with("552 5.3.4"));
}

TEST_F(ReceiverTest, NeverRefusesForItsOwnReceivedLine_I17) {
  options_.line = 78;
  hostname_ = std::string(60, 'a') + "." + std::string(60, 'b') + ".example";
  make();
  EXPECT_FALSE(write("DKIM-Signature: v=1\r\n\r\nx\r\n"));
  EXPECT_EQ(first_reply(finish()).substr(0, 9), "250 2.0.0");
}

TEST_F(ReceiverTest, slimta_41_a_queue_that_fails_is_a_451_and_nothing_is_acknowledged) {
  for (const spool::Status status :
       {spool::Status::refused, spool::Status::missing, spool::Status::fenced}) {
    admission_.status = status;
    make();
    EXPECT_FALSE(write("Subject: x\r\n\r\nbody\r\n"));
    EXPECT_EQ(first_reply(finish()), "451 4.3.0 Local storage error, try again later");
  }
  EXPECT_EQ(statistics_.messages_accepted, 0u);
  EXPECT_EQ(statistics_.recipients_accepted, 0u);
  EXPECT_EQ(admission_.reserved, 0u);
}

TEST_F(ReceiverTest, AddsNothingButItsTraceToRelayedMail_R88) {
  make();
  EXPECT_FALSE(write("Subject: x\r\n\r\nno Date, no Message-ID\r\n"));
  finish();
  const std::string& octets = *admission_.submissions.at(0).content.octets;
  EXPECT_EQ(octets.find("\nDate:"), std::string::npos);
  EXPECT_EQ(octets.find("Message-ID:"), std::string::npos);
  EXPECT_TRUE(octets.starts_with("Received:"));
}

TEST_F(ReceiverTest, slimta_12_the_steps_of_acceptance_have_one_order) {
  // The trace goes on top of what came, what has long lines is re-encoded with it, and the facts
  // are of the result.
  make();
  EXPECT_FALSE(write("Subject: x\r\n\r\n" + std::string(999, 'y') + "\r\n"));
  finish();
  const Submission& submission = admission_.submissions.at(0);
  const std::string& octets = *submission.content.octets;
  const std::size_t trace = octets.find("Received:");
  const std::size_t subject = octets.find("Subject: x");
  const std::size_t encoding = octets.find("Content-Transfer-Encoding:");
  EXPECT_EQ(trace, 0u);
  EXPECT_LT(subject, encoding);
  EXPECT_LT(encoding, octets.find("\r\n\r\n"));
  EXPECT_EQ(submission.content.facts.checksum, crc32c(octets));
}

TEST_F(ReceiverTest, LeavesListFieldsAndTheirSignatureAsTheyCame_R89) {
  const std::string mail =
      "DKIM-Signature: v=1; h=List-Unsubscribe:List-Unsubscribe-Post; b=abc\r\n"
      "List-Unsubscribe: <mailto:leave@list.example>,\r\n <https://list.example/u?id=1>\r\n"
      "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n\r\nbody\r\n";
  make();
  EXPECT_FALSE(write(mail));
  finish();
  EXPECT_TRUE(admission_.submissions.at(0).content.octets->ends_with(mail));
}

TEST_F(ReceiverTest, RefusesTooManyHops) {
  options_.hops = 3;
  make();
  EXPECT_FALSE(write("Received: a\r\nReceived: b\r\nReceived: c\r\n"));
  const auto refusal = write("received: d\r\n");
  ASSERT_TRUE(refusal);
  EXPECT_EQ(refusal->to_string().substr(0, 9), "554 5.4.6");
}

TEST_F(ReceiverTest, RefusesBigHeaders) {
  options_.header = 5000;
  make();
  EXPECT_FALSE(write("X: " + std::string(4000, 'x') + "\r\n"));
  EXPECT_EQ(write("X: " + std::string(4000, 'x') + "\r\n")->to_string().substr(0, 9), "552 5.3.4");
  make();
  EXPECT_FALSE(write("X: y\r\n\r\n" + std::string(100000, 'x') + "\r\n"));
  options_.header_lines = 50;
  make();
  std::string many;
  for (int i = 0; i < 60; ++i) many += "X: y\r\n";
  EXPECT_EQ(write(many)->to_string().substr(0, 9), "554 5.6.0");
}

}  // namespace
}  // namespace mansio::edge

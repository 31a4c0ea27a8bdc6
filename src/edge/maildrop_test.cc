#include "edge/maildrop.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <set>

#include "base/checksum.h"
#include "base/log.h"
#include "edge/fake_admission.h"
#include "message/dropped_message.h"
#include "testing/run.h"

namespace mansio::edge {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

Envelope envelope_to(const std::vector<std::string>& recipients) {
  Envelope envelope;
  envelope.reverse_path = *Address::parse("ann@example.org", false);
  for (const std::string& address : recipients) {
    Recipient& recipient = envelope.recipients.emplace_back();
    recipient.address = recipient.original = *Address::parse(address, false);
  }
  return envelope;
}

std::string drop_of(const std::string& content) {
  return encode_drop_head(envelope_to({"bob@example.com"}), content.size()) + content +
         encode_drop_checksum(crc32c(content));
}

class MaildropTest : public ::testing::Test {
 protected:
  MaildropTest() {
    std::string path = (fs::temp_directory_path() / "mansio-maildrop-XXXXXX").string();
    folder_ = ::mkdtemp(path.data());
    settings_.server.hostname = "mx.example";
    settings_.maildrop.path = folder_.string();
  }

  ~MaildropTest() override {
    if (maildrop_) stop();
    fs::remove_all(folder_);
  }

  void start() {
    Maildrop::Ports ports{admission_, [this](QueueId id) { return known(id); }, clock_,
                          context_.get_executor()};
    maildrop_ = std::make_unique<Maildrop>(std::move(ports),
                                           std::make_shared<const settings::Settings>(settings_));
    maildrop_->start();
    fake::run_until_idle(context_);
  }

  void stop() {
    auto stopping = maildrop_->stop(clock_.steady_now() + std::chrono::seconds(1));
    fake::run(context_, clock_, std::move(stopping));
    maildrop_.reset();
  }

  /// Until the folder has been read once more.
  void next_pass() { clock_.advance(context_, std::chrono::seconds(6)); }

  Task<Known> known(QueueId id) {
    ++asked_;
    if (known_hook_) known_hook_();
    const bool found = known_.contains(id) ||
                       std::any_of(admission_.submissions.begin(), admission_.submissions.end(),
                                   [&](const Submission& s) { return s.id == id; });
    co_return found ? Known::yes : Known::no;
  }

  std::string new_name() {
    QueueId id;
    id.octets[0] = 1;
    id.octets[14] = static_cast<std::uint8_t>(++made_ >> 8);
    id.octets[15] = static_cast<std::uint8_t>(made_);
    return id.to_string();
  }

  std::string put(const std::string& octets) { return put(octets, new_name()); }

  std::string put(const std::string& octets, const std::string& name) {
    std::ofstream(folder_ / name, std::ios::binary) << octets;
    fs::permissions(folder_ / name, fs::perms::owner_read);
    return name;
  }

  bool exists(const std::string& name) const {
    return fs::symlink_status(folder_ / name).type() != fs::file_type::not_found;
  }

  std::string content(std::size_t index) const {
    return *admission_.submissions.at(index).content.octets;
  }

  fs::path folder_;
  boost::asio::io_context context_;
  fake::VirtualClock clock_;
  test::FakeAdmission admission_;
  settings::Settings settings_;
  std::set<QueueId> known_;
  std::function<void()> known_hook_;
  int asked_ = 0;
  int made_ = 0;
  std::unique_ptr<Maildrop> maildrop_;
};

TEST_F(MaildropTest, TakesAMessageUnderItsOwnIdAndRemovesItsFile) {
  const std::string name = put(drop_of("Subject: x\r\n\r\nhello\r\n"));
  start();
  ASSERT_THAT(admission_.submissions, SizeIs(1));
  const Submission& taken = admission_.submissions.front();
  EXPECT_EQ(taken.id.to_string(), name);
  EXPECT_EQ(taken.envelope.reverse_path.to_string(), "ann@example.org");
  EXPECT_EQ(taken.envelope.origin.protocol, "local");
  EXPECT_EQ(taken.envelope.origin.user, "uid:" + std::to_string(::getuid()));
  EXPECT_THAT(content(0), HasSubstr("Received: by mx.example (Mansio, from userid "));
  EXPECT_THAT(content(0), HasSubstr("Subject: x\r\nFrom: ann@example.org\r\nDate: "));
  EXPECT_THAT(content(0), HasSubstr("\r\n\r\nhello\r\n"));
  EXPECT_FALSE(exists(name));
  EXPECT_EQ(maildrop_->statistics().accepted, 1u);
}

TEST_F(MaildropTest, TakesWhatComesLaterAndManyAtOnce) {
  start();
  for (int i = 0; i < 300; ++i) put(drop_of("text\n"));
  next_pass();
  EXPECT_THAT(admission_.submissions, SizeIs(300));
  EXPECT_TRUE(fs::is_empty(folder_));
}

TEST_F(MaildropTest, AMessageThatTheQueueKnowsOnlyLosesItsFile) {
  const std::string name = put(drop_of("text\n"));
  known_.insert(*QueueId::parse(name));
  start();
  EXPECT_THAT(admission_.submissions, IsEmpty());
  EXPECT_FALSE(exists(name));
}

TEST_F(MaildropTest, LeavesAloneWhatIsNotAMessageAndTakesTheRest_I37) {
  const fs::path outside = folder_.string() + "-outside";
  std::ofstream(outside) << drop_of("Subject: secret\n\n");
  std::vector<std::string> odd;
  odd.push_back(new_name());
  fs::create_symlink(outside, folder_ / odd.back());
  odd.push_back(new_name());
  fs::create_hard_link(outside, folder_ / odd.back());
  odd.push_back(new_name());
  ASSERT_EQ(::mkfifo((folder_ / odd.back()).c_str(), 0600), 0);
  odd.push_back(new_name());
  fs::create_directory(folder_ / odd.back());
  odd.push_back(put("", new_name()));
  odd.push_back(put("nothing of ours"));
  const std::string whole = drop_of("Subject: x\r\n\r\nhello\r\n");
  odd.push_back(put(whole.substr(0, whole.size() - 5)));
  odd.push_back(put(whole + "x"));
  std::string damaged = whole;
  damaged[whole.size() - 8] ^= 1;
  odd.push_back(put(damaged));
  odd.push_back(put(drop_of(std::string("a\0b\r\n", 5))));
  odd.push_back(put(whole, "README"));
  odd.push_back(put(whole, "01arz3ndektsv4rrffq69g5fav"));  // an id, but not as we write it
  odd.push_back(put(whole));
  fs::permissions(folder_ / odd.back(), fs::perms::owner_read | fs::perms::others_write);
  odd.push_back(put(whole, "tmp-old"));
  const timespec long_ago[2] = {{1'500'000'000, 0}, {1'500'000'000, 0}};
  ::utimensat(AT_FDCWD, (folder_ / "tmp-old").c_str(), long_ago, 0);
  const std::string good = put(whole);

  start();
  EXPECT_THAT(admission_.submissions, SizeIs(1));
  EXPECT_FALSE(exists(good));
  for (const std::string& name : odd) EXPECT_TRUE(exists(name)) << name;
  EXPECT_EQ(maildrop_->statistics().left, odd.size());

  const int asked = asked_;
  next_pass();
  EXPECT_EQ(asked_, asked) << "what was logged is not read again";
  EXPECT_EQ(maildrop_->statistics().left, odd.size());
  fs::remove(outside);
}

TEST_F(MaildropTest, LeavesUnfinishedFilesAlone) {
  put(drop_of("text\n"), "tmp-01ARZ3NDEKTSV4RRFFQ69G5FAV");
  start();
  EXPECT_THAT(admission_.submissions, IsEmpty());
  EXPECT_TRUE(exists("tmp-01ARZ3NDEKTSV4RRFFQ69G5FAV"));
}

TEST_F(MaildropTest, KeepsMessagesWhileTheQueueTakesNone) {
  const std::string name = put(drop_of("text\n"));
  admission_.ready = Readiness::full;
  start();
  EXPECT_TRUE(exists(name));
  admission_.ready = Readiness::ready;
  for (const spool::Status status : {spool::Status::full, spool::Status::unknown}) {
    admission_.status = status;
    next_pass();
    EXPECT_TRUE(exists(name));
    admission_.submissions.clear();
  }
  admission_.status = spool::Status::committed;
  next_pass();
  EXPECT_FALSE(exists(name));
  EXPECT_EQ(maildrop_->statistics().left, 0u);
}

TEST_F(MaildropTest, AMessageOverALimitStaysAndIsCounted) {
  settings_.limits.message = 100;
  const std::string name = put(drop_of(std::string(200, 'x') + "\n"));
  const std::string small = put(drop_of("text\n"));
  start();
  EXPECT_TRUE(exists(name));
  EXPECT_FALSE(exists(small));
  EXPECT_EQ(maildrop_->statistics().left, 1u);
}

TEST_F(MaildropTest, ALimitThatWasRaisedLetsInWhatWaited) {
  settings_.limits.message = 100;
  const std::string name = put(drop_of(std::string(200, 'x') + "\n"));
  start();
  EXPECT_TRUE(exists(name));
  settings_.limits.message = 1 << 20;
  maildrop_->reload(std::make_shared<const settings::Settings>(settings_));
  next_pass();
  EXPECT_FALSE(exists(name));
  EXPECT_EQ(maildrop_->statistics().left, 0u);
}

TEST_F(MaildropTest, TooManyOpenFilesAreNoFaultOfAMessage) {
  const std::string name = put(drop_of("text\n"));
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const int last = ::open("/dev/null", O_RDONLY);
  rlimit tight = before;
  tight.rlim_cur = static_cast<rlim_t>(last) + 8;
  std::vector<int> taken;
  known_hook_ = [&] {
    while (true) {
      const int one = ::dup(last);
      if (one < 0) break;
      taken.push_back(one);
    }
  };
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &tight), 0);
  start();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  for (const int one : taken) ::close(one);
  ::close(last);
  known_hook_ = nullptr;
  EXPECT_TRUE(exists(name));
  ASSERT_EQ(asked_, 1);
  EXPECT_EQ(maildrop_->statistics().left, 0u);
  next_pass();
  EXPECT_FALSE(exists(name));
}

TEST_F(MaildropTest, AFolderFullOfRubbishHidesNoMail) {
  log::configure(log::Format::text, log::Level::error);  // a line for each would be the slow part
  for (int i = 0; i < 10'050; ++i) ::close(::creat((folder_ / std::to_string(i)).c_str(), 0600));
  std::vector<std::string> good;
  for (int i = 0; i < 20; ++i) good.push_back(put(drop_of("text\n")));
  start();
  next_pass();
  next_pass();
  for (const std::string& name : good) EXPECT_FALSE(exists(name)) << name;
  EXPECT_EQ(maildrop_->statistics().left, 10'050u);
  log::configure(log::Format::text, log::Level::info);
}

TEST_F(MaildropTest, StreamsLargeContentAndDropsItWhenItIsDamaged) {
  settings_.limits.content_in_memory = 1024;
  std::string whole = drop_of("Subject: x\n\n" + std::string(300'000, '\n'));
  const std::string good = put(whole);
  whole[whole.size() - 10] = 'x';
  const std::string bad = put(whole);
  start();
  EXPECT_FALSE(exists(good));
  EXPECT_TRUE(exists(bad));
  EXPECT_THAT(admission_.submissions, SizeIs(1));
  EXPECT_TRUE(admission_.sealed[*QueueId::parse(good)]);
  EXPECT_FALSE(admission_.sealed[*QueueId::parse(bad)]);
}

TEST_F(MaildropTest, EndsLinesAsSmtpWantsThem_I2) {
  put(drop_of("Subject: x\n\na\rb\r\n.\nc"));
  start();
  EXPECT_TRUE(content(0).ends_with("\r\n\r\na\r\nb\r\n.\r\nc\r\n"));
}

TEST_F(MaildropTest, AMissingFolderIsNoEnd) {
  fs::remove(folder_);
  start();
  fs::create_directory(folder_);
  put(drop_of("text\n"));
  next_pass();
  EXPECT_THAT(admission_.submissions, SizeIs(1));
  fs::remove(folder_);
  fs::create_directory_symlink("/tmp", folder_);
  next_pass();
  EXPECT_THAT(admission_.submissions, SizeIs(1));
}

}  // namespace
}  // namespace mansio::edge

#include "spool/file/working_set.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>

#include "spool/file/file_spool_fixture.h"

namespace mansio::spool {
namespace {

class WorkingSetTest : public FileSpoolTest {
 protected:
  WorkingSetTest() {
    std::filesystem::create_directories(root_ / "index");
    index_ = std::make_unique<Index>(IndexOptions{root_ / "index", ids_.next(clock_.now()), true},
                                     clock_);
    set_ = std::make_unique<WorkingSet>(*index_, 1 << 20);
  }

  /// The message ends in `group`, RocksDB learns it, and the set lets go of it.
  void end(const QueueId& id, std::uint64_t group) {
    auto held = set_->message(id);
    ASSERT_TRUE(held);
    (*held)->state = nullptr;
    set_->changed(**held, group);
    IndexChanges changes;
    changes.position.group = group;
    index_->merge(std::move(changes));
    ASSERT_TRUE(index_->write_pending());
    set_->trim();
  }

  MessageRow row() {
    MessageRow made;
    made.stored.message = make_admit().message;
    made.stored.recipients.resize(1);
    made.first_due = {clock_.now()};
    made.has_row = {false};
    return made;
  }

  bool knows(const QueueId& id) { return (*set_->message(id))->state != nullptr; }

  std::unique_ptr<Index> index_;
  std::unique_ptr<WorkingSet> set_;
};

TEST_F(WorkingSetTest, TakesARowThatAReaderFound) {
  const MessageRow found = row();
  set_->offer(found, 0);
  EXPECT_TRUE(knows(found.stored.message.id));
}

TEST_F(WorkingSetTest, LeavesARowThatWasReadBeforeTheMessageEnded) {
  const MessageRow found = row();
  end(found.stored.message.id, 5);
  set_->offer(found, 4);
  EXPECT_FALSE(knows(found.stored.message.id));
}

TEST_F(WorkingSetTest, TakesARowThatWasReadAfterTheLastChange) {
  const MessageRow found = row();
  end(found.stored.message.id, 5);
  set_->offer(found, 5);
  EXPECT_TRUE(knows(found.stored.message.id));
}

TEST_F(WorkingSetTest, LeavesARowOfAMessageThatIsKnown) {
  const MessageRow found = row();
  auto held = set_->message(found.stored.message.id);  // unknown to RocksDB: known not to exist
  ASSERT_TRUE(held);
  set_->offer(found, 0);
  EXPECT_FALSE(knows(found.stored.message.id));
}

}  // namespace
}  // namespace mansio::spool

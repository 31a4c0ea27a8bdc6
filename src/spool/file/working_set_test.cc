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

/// Rows that are in RocksDB when the set is made.
class WorkingSetOfAnOldIndex : public WorkingSetTest {
 protected:
  void store(const MessageRow& stored, std::uint64_t group) {
    IndexChanges changes;
    changes.rows.push_back({Family::messages, message_key(stored.stored.message.id),
                            encode_row(stored), stored.stored.message.id, true});
    changes.position.group = group;
    index_->merge(std::move(changes));
    ASSERT_TRUE(index_->write_pending());
  }
};

TEST_F(WorkingSetOfAnOldIndex, FindsWhatWasThereBefore) {
  const MessageRow older = row(), newer = row();
  store(older, 1);
  store(newer, 2);
  WorkingSet set(*index_, 1 << 20);
  ASSERT_TRUE(set.load());
  EXPECT_NE((*set.message(older.stored.message.id))->state, nullptr);
  EXPECT_NE((*set.message(newer.stored.message.id))->state, nullptr);
}

TEST_F(WorkingSetOfAnOldIndex, FindsANewerMessageThatItHasForgotten) {
  store(row(), 1);
  WorkingSet set(*index_, 0);  // forgets at once
  ASSERT_TRUE(set.load());
  const MessageRow later = row();
  auto held = set.message(later.stored.message.id);
  ASSERT_TRUE(held);
  EXPECT_EQ((*held)->state, nullptr);
  (*held)->state = std::make_shared<StoredMessage>(later.stored);
  set.changed(**held, 2);
  store(later, 2);
  set.trim();
  EXPECT_NE((*set.message(later.stored.message.id))->state, nullptr);
}

TEST_F(WorkingSetOfAnOldIndex, DoesNotLookForAMessageThatIsNewerThanAll) {
  store(row(), 1);
  WorkingSet set(*index_, 1 << 20);
  ASSERT_TRUE(set.load());
  const MessageRow later = row();
  store(later, 2);  // as if by another hand, to see that it is not looked for
  EXPECT_EQ((*set.message(later.stored.message.id))->state, nullptr);
}

}  // namespace
}  // namespace mansio::spool

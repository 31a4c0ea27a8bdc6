#include <rocksdb/db.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "spool/contract_backends.h"
#include "spool/file/file_spool.h"
#include "spool/file/keys.h"
#include "spool/file/rows.h"

namespace mansio::spool {
namespace {

class ContractClock final : public Clock {
 public:
  explicit ContractClock(std::function<Time()> now) : now_(std::move(now)) {}

  Time now() const override { return now_(); }

  SteadyTime steady_now() const override { return SteadyTime(now_().time_since_epoch()); }

  std::unique_ptr<Timer> make_timer(boost::asio::any_io_executor) override { return nullptr; }

 private:
  std::function<Time()> now_;
};

class FileBackend final : public BackendFactory {
 public:
  explicit FileBackend(const ContractOptions& options) : clock_(options.now) {
    std::string pattern = (std::filesystem::temp_directory_path() / "mansio-spool-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp");
    root_ = pattern;
    options_.path = root_ / "spool";
    options_.reserve = 0;
    options_.reserve_share = 0;
    options_.history_keep = options.history_keep;
    options_.segment_size = 1 << 20;
    options_.clean_on_destruction = false;
  }

  ~FileBackend() override { std::filesystem::remove_all(root_); }

  std::unique_ptr<Spool> open() override { return open_file_spool(options_, clock_); }

  void corrupt_record(const QueueId& id) override {
    open();  // catches up, so that the row is in the index
    open()->stop();
    with_index(
        [&](rocksdb::DB& db) { db.Put(rocksdb::WriteOptions(), message_key(id), "not a row"); });
  }

  void corrupt_content(const QueueId& id) override {
    open()->stop();
    MessageRow row;
    with_index([&](rocksdb::DB& db) {
      std::string value;
      if (!db.Get(rocksdb::ReadOptions(), message_key(id), &value).ok() ||
          !decode_row(value, row)) {
        throw std::runtime_error("the message to damage is not there");
      }
    });
    std::filesystem::path path =
        options_.path / "content" / row.stored.message.content.id.to_string();
    std::uint64_t offset = 0;
    if (row.location.in_record) {
      char name[32];
      std::snprintf(name, sizeof name, "segment-%016llx",
                    static_cast<unsigned long long>(row.location.epoch));
      path = options_.path / "journal" / name;
      offset = row.location.record_offset + row.location.content_offset;
    }
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(offset));
    const char octet = static_cast<char>(file.get() ^ 0x20);
    file.seekp(static_cast<std::streamoff>(offset));
    file.put(octet);
  }

 private:
  void with_index(const std::function<void(rocksdb::DB&)>& use) {
    const std::string path = (options_.path / "index").string();
    std::vector<std::string> names;
    rocksdb::DB::ListColumnFamilies(rocksdb::DBOptions(), path, &names);
    std::vector<rocksdb::ColumnFamilyDescriptor> families_found;
    for (const std::string& name : names) {
      families_found.emplace_back(name, rocksdb::ColumnFamilyOptions());
    }
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    rocksdb::DB* db = nullptr;
    const auto status =
        rocksdb::DB::Open(rocksdb::DBOptions(), path, families_found, &handles, &db);
    if (!status.ok()) throw std::runtime_error(status.ToString());
    use(*db);
    db->Flush(rocksdb::FlushOptions());
    for (auto* handle : handles) db->DestroyColumnFamilyHandle(handle);
    delete db;
  }

  ContractClock clock_;
  std::filesystem::path root_;
  FileSpoolOptions options_;
};

}  // namespace

std::unique_ptr<BackendFactory> make_contract_file_backend(const ContractOptions& options) {
  return std::make_unique<FileBackend>(options);
}

}  // namespace mansio::spool

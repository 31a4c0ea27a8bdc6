#include "delivery/body_sources.h"

#include <boost/system/errc.hpp>
#include <utility>

namespace mansio::delivery {
namespace {

constexpr std::size_t memory_piece = 64 * 1024;
constexpr std::uint64_t reader_piece = 256 * 1024;

ErrorCode too_short() {
  return boost::system::errc::make_error_code(boost::system::errc::io_error);
}

}  // namespace

Task<Result<std::string_view>> MemoryBody::next() {
  const std::string_view piece = std::string_view(*octets_).substr(at_, memory_piece);
  at_ += piece.size();
  co_return piece;
}

Task<Result<std::string_view>> ReaderBody::next() {
  Result<std::string> read = co_await reader_.read(at_, reader_piece);
  if (!read) co_return read.error();
  piece_ = std::move(*read);
  at_ += piece_.size();
  if (piece_.empty() && at_ < size_) co_return too_short();
  co_return std::string_view(piece_);
}

std::unique_ptr<smtp::BodySource> make_body(ContentReader& reader, std::uint64_t size) {
  std::shared_ptr<const std::string> octets = reader.in_memory();
  if (octets != nullptr && octets->size() >= size) {
    return std::make_unique<MemoryBody>(std::move(octets));
  }
  return std::make_unique<ReaderBody>(reader, size);
}

Task<Result<std::shared_ptr<const std::string>>> read_all(ContentReader& reader,
                                                          std::uint64_t size) {
  std::unique_ptr<smtp::BodySource> body = make_body(reader, size);
  auto octets = std::make_shared<std::string>();
  for (;;) {
    const Result<std::string_view> piece = co_await body->next();
    if (!piece) co_return piece.error();
    if (piece->empty()) break;
    *octets += *piece;
  }
  co_return std::shared_ptr<const std::string>(std::move(octets));
}

}  // namespace mansio::delivery

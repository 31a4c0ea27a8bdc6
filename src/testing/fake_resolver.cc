#include "testing/fake_resolver.h"

#include "base/assert.h"

namespace mansio::fake {

void FakeResolver::set_mx(const std::string& domain, std::vector<dns::MxRecord> records) {
  names_[domain].mx = std::move(records);
}

void FakeResolver::set_mx_now(const std::string& domain, std::vector<dns::MxRecord> records) {
  names_[domain].mx_now = std::move(records);
}

void FakeResolver::set_addresses(const std::string& host,
                                 const std::vector<std::string>& addresses) {
  Name& name = names_[host];
  name.addresses.clear();
  for (const std::string& address : addresses) {
    const bool v6 = address.find(':') != std::string::npos;
    name.addresses[v6 ? dns::Family::v6 : dns::Family::v4].push_back(address);
  }
}

void FakeResolver::set_status(const std::string& name, dns::Status status, std::string why) {
  set_mx_status(name, status);
  set_address_status(name, dns::Family::v4, status);
  set_address_status(name, dns::Family::v6, status);
  names_[name].why = std::move(why);
}

void FakeResolver::set_mx_status(const std::string& name, dns::Status status) {
  names_[name].mx_status = status;
}

void FakeResolver::set_address_status(const std::string& name, dns::Family family,
                                      dns::Status status) {
  names_[name].address_status[family] = status;
}

void FakeResolver::set_delay(const std::string& name, Duration delay) {
  MANSIO_ASSERT(clock_ != nullptr);
  names_[name].delay = delay;
}

std::size_t FakeResolver::mx_calls(const std::string& name) const {
  const auto found = mx_calls_.find(name);
  return found == mx_calls_.end() ? 0 : found->second;
}

std::size_t FakeResolver::address_calls(const std::string& name) const {
  const auto found = address_calls_.find(name);
  return found == address_calls_.end() ? 0 : found->second;
}

Task<void> FakeResolver::wait(std::string name) {
  const auto found = names_.find(name);
  if (found == names_.end() || found->second.delay == Duration{}) co_return;
  co_await sleep_for(*clock_, found->second.delay);
}

Task<dns::MxAnswer> FakeResolver::mx(std::string domain) {
  ++calls_;
  ++mx_calls_[domain];
  co_await wait(domain);
  dns::MxAnswer answer;
  const auto found = names_.find(domain);
  if (found == names_.end()) {
    answer.status = dns::Status::no_domain;
    answer.why = "NXDOMAIN";
    co_return answer;
  }
  const Name& name = found->second;
  answer.status = name.mx.empty() ? dns::Status::no_data : dns::Status::found;
  if (name.mx_status) answer.status = *name.mx_status;
  if (answer.status == dns::Status::found) answer.records = name.mx;
  answer.why = answer.status == dns::Status::found ? "" : name.why;
  co_return answer;
}

Task<dns::MxAnswer> FakeResolver::mx_now(std::string domain) {
  auto asking = mx(domain);
  dns::MxAnswer answer = co_await std::move(asking);
  const auto found = names_.find(domain);
  if (found != names_.end() && found->second.mx_now) {
    answer.status = dns::Status::found;
    answer.records = *found->second.mx_now;
  }
  co_return answer;
}

Task<dns::AddressAnswer> FakeResolver::addresses(std::string host, dns::Family family) {
  ++calls_;
  ++address_calls_[host];
  co_await wait(host);
  dns::AddressAnswer answer;
  const auto found = names_.find(host);
  if (found == names_.end()) {
    answer.status = dns::Status::no_domain;
    answer.why = "NXDOMAIN";
    co_return answer;
  }
  const Name& name = found->second;
  const auto records = name.addresses.find(family);
  const bool some = records != name.addresses.end() && !records->second.empty();
  answer.status = some ? dns::Status::found : dns::Status::no_data;
  const auto status = name.address_status.find(family);
  if (status != name.address_status.end()) answer.status = status->second;
  if (answer.status == dns::Status::found && some) answer.addresses = records->second;
  answer.why = answer.status == dns::Status::found ? "" : name.why;
  co_return answer;
}

}  // namespace mansio::fake

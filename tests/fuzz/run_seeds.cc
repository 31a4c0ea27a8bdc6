// Runs a fuzz target over files, or all files of folders: for compilers without libFuzzer.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

std::size_t run_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string octets((std::istreambuf_iterator<char>(file)), {});
  // Every beginning of a seed is an input too.
  for (std::size_t size = 0; size <= octets.size(); ++size) {
    const std::vector<std::uint8_t> input(octets.begin(),
                                          octets.begin() + static_cast<std::ptrdiff_t>(size));
    LLVMFuzzerTestOneInput(input.data(), input.size());
  }
  return octets.size() + 1;
}

}  // namespace

int main(int count, char** arguments) {
  std::size_t inputs = 0;
  for (int i = 1; i < count; ++i) {
    const std::filesystem::path path(arguments[i]);
    if (!std::filesystem::is_directory(path)) {
      inputs += run_file(path);
      continue;
    }
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
      inputs += run_file(entry.path());
    }
  }
  std::printf("%zu inputs\n", inputs);
  return inputs == 0 ? 1 : 0;
}

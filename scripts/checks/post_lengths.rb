# Asks the library of Mastodon's server how long posts are and which links they have, and writes the answers into the fixture of our tests.
#
#     gem install twitter-text:3.1.0
#     ruby scripts/checks/post_lengths.rb PATH_OF_A_CHECKOUT_OF_MASTODON    # run it in the root of the repository
#
# Positions of links are code points. The length is what app/validators/status_length_validator.rb of Mastodon counts. With another
# version of Unicode than that of our `regex`, Ruby may join other characters.

require 'json'
require 'twitter-text'

FIXTURE = 'tests/jobs/writing/fixtures/post_lengths.json'
CHECKOUT = ARGV.fetch(0)
load "#{CHECKOUT}/config/initializers/twitter_regex.rb"

class Account
  File.readlines("#{CHECKOUT}/app/models/account.rb").grep(/^\s*(USERNAME_RE|MENTION_RE)\s*=/).each { |line| class_eval(line) }
end

class Tag
  HASHTAG_RE = /(?!)/
end
load "#{CHECKOUT}/app/lib/extractor.rb"

def on_mastodon(text)
  urls = Extractor.extract_urls_with_indices(text, extract_url_without_protocol: false)
  mentions = Extractor.extract_mentions_or_lists_with_indices(text)
  position = 0
  counted = +''
  Extractor.remove_overlapping_entities(urls + mentions).each do |entity|
    first, last = entity[:indices]
    counted << text[position...first] << (entity[:url] ? 'x' * 23 : "@#{entity[:screen_name].split('@').first}")
    position = last
  end
  counted << text[position..]
  { length: counted.each_grapheme_cluster.count, links: urls.map { |url| [url[:indices][0], url[:url]] } }
end

cases = JSON.parse(File.read(FIXTURE))
lines = cases.map { |one| JSON.generate(one.merge('mastodon' => on_mastodon(one['text'])), ascii_only: true) }
File.write(FIXTURE, "[\n#{lines.join(",\n")}\n]\n")

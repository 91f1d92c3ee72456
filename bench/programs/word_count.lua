return function()
  local words = {}
  for i = 0, 999 do words[#words + 1] = "word" .. (i * i % 4099) end
  local part = table.concat(words, " ")
  local text = part .. (" " .. part):rep(99)
  local counts = {}
  for word in text:gmatch("[^ ]+") do counts[word] = (counts[word] or 0) + 1 end
  local most, size = 0, 0
  for _, n in pairs(counts) do
    if n > most then most = n end
    size = size + 1
  end
  return 1000 * most + size
end

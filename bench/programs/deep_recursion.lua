local function down(n)
  if n == 0 then return 0 end
  return 1 + down(n - 1)
end

return function()
  local sum = 0
  for _ = 1, 10 do sum = sum + down(100000) end
  return sum
end

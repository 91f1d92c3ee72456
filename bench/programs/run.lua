-- Runs one program a few times; prints its answer, then the processor time of each run in milliseconds.
local main = dofile(arg[1])
print(main())
for _ = 1, tonumber(arg[2]) do
  local started = os.clock()
  main()
  print((os.clock() - started) * 1000)
end
